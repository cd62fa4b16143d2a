# tare round and export: every format, rules of several rows, certificates that are believed and found false, refusals.
helper bank in.safetensors 40 5
for format in fp32 fp16 bf16 int8 int4; do
  tare round in.safetensors $format.safetensors --format $format | sed -E 's/[0-9]+\.[0-9]{4}/N/g; s/ [0-9]+$/ N/'
  tare check $format.safetensors
done
tare round in.safetensors again.safetensors --format int8 --grade grid --constraint 'order=1; symmetric' -q >/dev/null
tare check again.safetensors
tare round again.safetensors twice.safetensors --format int8 --grade grid
tare round in.safetensors wide.safetensors --format int4 --constraint order=4
tare round in.safetensors tenth.safetensors --constraint sum=1/10
tare round in.safetensors tenth.safetensors --constraint sum=1/10 --allow-divisor | sed -E 's/[0-9]+\.[0-9]{4}/N/g; s/ [0-9]+$/ N/'
tare check tenth.safetensors
tare round in.safetensors missing/x.safetensors
tare round in.safetensors x.onnx
tare round in.safetensors x.npy --format bf16
printf '\223NUMPY\1\0\106\0%-69s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }" >plain.npy
printf '\0\0\200\277\0\0\200\77' >>plain.npy
tare round plain.npy same.npy --constraint sum=0
tare round plain.npy moved.npy --constraint sum=1
tare train leaves --images 4 --steps 2 --net 'conv 4x5 sum=0; bn; relu; gap; dense 6' --out m.safetensors -q >/dev/null
tare round m.safetensors x.safetensors --constraint sum=1/10 --allow-divisor --tensor conv1.weight
tare export m.safetensors m.onnx
tare check m.onnx
tare export m.safetensors int8.onnx --format int8 --grade grid --fold
tare check int8.onnx
tare export m.safetensors m.txt
tare export in.safetensors m.onnx
tare round m.safetensors q.safetensors --format int8 -q >/dev/null
tare eval q.safetensors leaves --images 4 -q >/dev/null
rm -f *.npy *.safetensors
left
