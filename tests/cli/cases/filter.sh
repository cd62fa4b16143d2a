# tare filter: the first layer on images of any size; its TIFF is read back as an image of floats.
helper png photo.png 600 300 1
tare train leaves --images 4 --steps 2 --net 'conv 1x5 sum=0 pad=reflect nobias; bn; relu; gap; dense 6' --out m.safetensors -q >/dev/null
if ! "$tare_binary" filter m.safetensors photo.png out.tif >probe 2>&1 && grep -q 'needs libvips' probe; then echo SKIP; exit; fi
rm -f probe out.tif
tare filter m.safetensors photo.png out.tif | numbers
tare filter m.safetensors photo.png out.tif --responses r.png --bank f.png --json out.json 2>&1 | sed 's/is [0-9.]*$/is N/'
helper shape out.json
tare filter m.safetensors out.tif again.tif 2>&1 | sed 's/is [0-9.]*$/is N/'
tare filter m.safetensors m.safetensors x.tif
tare filter m.safetensors missing.png x.tif
tare filter photo.png photo.png x.tif
tare filter m.safetensors photo.png out.png
tare filter m.safetensors photo.png missing/x.tif
helper png small.png 2 9 1
tare filter m.safetensors small.png x.tif
tare train leaves --images 4 --steps 2 --net 'laplacian; conv 1x5; gap; dense 6' --out l.safetensors -q >/dev/null
tare filter l.safetensors photo.png x.tif
helper copy photo.png 20000 cut.png
tare filter m.safetensors cut.png x.tif
left
