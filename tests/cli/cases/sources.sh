# Sources that are missing, empty, damaged or of the wrong kind.
tare data nothing
tare data leavs
tare data photos:
tare data mnist:missing
tare data folder:missing
mkdir empty
tare data mnist:empty
tare data folder:empty
touch file
tare data mnist:file
tare data folder:file
tare data leaves --patch 600
tare data leaves --channels rgb
mkdir idx
helper idx idx 60 30
tare data mnist:idx
tare data mnist:idx --patch 20
cp -r idx short && head -c 1000 idx/train-images-idx3-ubyte >short/train-images-idx3-ubyte
tare data mnist:short
cp -r idx long && echo more >>long/t10k-labels-idx1-ubyte
tare data mnist:long
cp -r idx swapped && cp idx/train-labels-idx1-ubyte swapped/train-images-idx3-ubyte
tare data mnist:swapped
cp -r idx fewer && cp idx/t10k-labels-idx1-ubyte fewer/train-labels-idx1-ubyte
tare data mnist:fewer
cp -r idx gone && rm gone/t10k-images-idx3-ubyte
tare data mnist:gone
cp -r idx zip && rm zip/train-images-idx3-ubyte && echo nonsense >zip/train-images-idx3-ubyte.gz
tare data mnist:zip
cp -r idx huge && printf '\000\000\010\003\177\377\377\377\000\000\020\000\000\000\020\000' >huge/train-images-idx3-ubyte
tare data mnist:huge
tare eval missing.safetensors leaves
tare eval file leaves
tare eval idx leaves
left
