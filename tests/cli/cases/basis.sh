# Condition numbers. On the model the spectral basis is perfect for a sum rule, by construction.
tare basis --kernel 7
tare basis --kernel 3 --constraint order=1 --basis 'spectral(0.5)' --json basis.json
helper shape basis.json
helper get basis.json kernel
helper get basis.json constraint
tare basis --kernel 5 --json - >json
sed 1d json >plain.json
helper shape plain.json
tare basis --kernel 15 --picture b.png --quiet | tail -n 1
tare basis --kernel 5 --data leaves --images 6 --json measured.json | numbers
tare basis --kernel 5 --constraint 'sum=0; sum=0'
tare basis --kernel 3 --constraint none
head -c 8 b.png | od -An -c
left
