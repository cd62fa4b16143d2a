# Network lines with a mistake: said before training, with the place.
for net in 'conv 8x7 sum=0; bn; reluu; gap; dense 6' 'conv 8y7 sum=0; gap; dense 6' 'conv 8x7 sum=0 spectrel; gap; dense 6' \
  'conv 8x7 sum=0 summ=1; gap; dense 6' 'conv 8x4 bayar; gap; dense 6' 'conv 8x4 sum=0 difference; gap; dense 6' \
  'conv 8x7 {sum=0; sum=1}; gap; dense 6' 'conv 8x3 {order=4}; gap; dense 6' 'conv 8x17; gap; dense 6' 'conv 8x7 sum=0; gap; dense 5' \
  'conv 6x7 sum=0; bn' 'conv 8x7 sum=0; gap; dense' 'conv 8x7 sum=0; dropout 2; gap; dense 6' ';' 'conv 8x7 {sum=0; gap; dense 6'; do
  tare train leaves --images 4 --patch 16 --steps 2 --out m.safetensors --net "$net"
done
tare train leaves --images 4 --patch 16 --steps 2 --out m.safetensors --schedule linear
left
