# Train, evaluate, resume.
mkdir idx
helper idx idx 240 60
net='conv 8x3 sum=0; relu; gap; dense 3'
train="train mnist:idx --batch 16 --lr 0.01 --threads 1"
tare $train --net "$net" --epochs 4 --out a.safetensors --log log --json a.json | numbers
wc -l <log
head -n 1 log >line
helper shape line
helper shape a.json
tare eval a.safetensors mnist:idx --json eval.json | numbers
helper shape eval.json
helper get eval.json images
helper get eval.json left_out
[ "$(helper get a.json accuracy)" = "$(helper get eval.json accuracy)" ] || echo 'train and eval disagree'
# Two epochs, then two more from the checkpoint: the same file as four, to the bit (a cosine would end elsewhere).
tare $train --net "$net" --epochs 4 --out a.safetensors --schedule constant --quiet >/dev/null
tare $train --net "$net" --epochs 2 --out b.safetensors --schedule constant --checkpoint c --quiet >/dev/null
tare $train --net "$net" --epochs 4 --out b.safetensors --schedule constant --checkpoint c --resume | numbers | grep '^!'
cmp a.safetensors b.safetensors && echo same
# Two threads: the same bits.
tare $train --threads 2 --net "$net" --epochs 4 --out b.safetensors --schedule constant --quiet >/dev/null
cmp a.safetensors b.safetensors && echo same
tare $train --net "$net" --epochs 1 --out b.safetensors --checkpoint new --resume | numbers | grep '^!'
tare $train --net 'conv 4x3 sum=0; gap; dense 3' --epochs 4 --out b.safetensors --checkpoint c --resume
echo damaged >c
tare $train --net "$net" --epochs 4 --out b.safetensors --checkpoint c --resume
# Several rows: said before training, marked in the file.
tare $train --net 'conv 8x5 order=1; relu; gap; dense 3' --steps 3 --out d.safetensors | numbers
tare eval a.safetensors leaves
head -c 2000 a.safetensors >cut.safetensors
tare eval cut.safetensors mnist:idx
tare $train --net "$net" --optimizer sgd --lr 1000 --epochs 40 --out e.safetensors --quiet | numbers
left
