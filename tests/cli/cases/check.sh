# tare check: exact residuals, the worst filters by name, files that are no files.
helper bank good.safetensors 1000 7
tare check good.safetensors
cp good.safetensors bad.safetensors
helper flip bad.safetensors 617 20
tare check bad.safetensors
tare check bad.safetensors --worst 0
tare check bad.safetensors --quiet --json bad.json >/dev/null
helper get bad.json holds
tare check good.safetensors --constraint 'sum=0; symmetric' --worst 2
tare check good.safetensors --constraint bayar --worst 1
tare check good.safetensors --constraint nonsense
tare check good.safetensors --tensor conv2.weight
tare check missing.safetensors
tare check good.txt
printf '\377\377\377\377\377\377\377\177{}' >long.safetensors
tare check long.safetensors
helper copy good.safetensors 100000 cut.safetensors
tare check cut.safetensors
printf 'nonsense' >nonsense.onnx
tare check nonsense.onnx
printf '\223NUMPY\1\0\106\0%-69s\n' "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }" >fortran.npy
printf '\0\0\0\0' >>fortran.npy
tare check fortran.npy --constraint sum=0
printf '\223NUMPY\1\0\106\0%-69s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }" >plain.npy
printf '\0\0\200\277\0\0\200\77' >>plain.npy
tare check plain.npy
tare check plain.npy --constraint sum=0
printf '\223NUMPY\1\0\106\0%-69s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }" >nan.npy
printf '\0\0\200\277\0\0\300\177' >>nan.npy
tare check nan.npy --constraint sum=0
