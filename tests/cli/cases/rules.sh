# Rules that contradict each other, leave nothing free or do not fit the filter.
tare basis --constraint 'sum=0; sum=1'
tare basis --constraint 'symmetric; derivative(1,0)'
tare basis --kernel 1 --constraint sum=0
tare basis --kernel 3 --constraint 'order=4'
tare basis --kernel 4 --constraint bayar
tare basis --kernel 4 --constraint centre=-1
tare basis --constraint 'sum=zero'
tare basis --constraint 'summ=0'
tare basis --constraint 'sum=1/0'
tare basis --constraint 'rows=missing.json'
tare basis --basis fourier
tare race leaves --images 4 --patch 16 --kernel 4 --constraint bayar
tare race leaves --images 4 --patch 16 --kernel 4 --methods difference
tare race leaves --images 4 --patch 16 --constraint 'sum=0; sum=1'
tare race leaves --images 4 --patch 16 --methods difference,speckle
tare race leaves --images 4 --patch 16 --kernel 17
tare race leaves --images 4 --patch 16 --tail 'conv 16x3; gap; dense 5'
tare race leaves --images 4 --patch 16 --tail 'konv 16x3; gap; dense 6'
tare race leaves --images 4 --patch 16 --schedule linear
left
