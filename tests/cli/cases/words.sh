# Words that are not understood: one line, exit 2.
tare racr
tare xyzzy
tare --verbos
tare help tran
tare race
tare race ''
tare race leaves twice
tare race leaves --kernell 3
tare race leaves --no-bnn
tare race leaves --zzzzzz
tare race leaves -z
tare race leaves --kernel
tare race leaves --kernel --quiet
tare race leaves --quiet=yes
tare race leaves --json ''
tare race leaves --constraint=
tare race leaves --init random
tare train leaves --optimizer adagrad --out m
tare eval
tare eval model
# Numbers.
tare race leaves --kernel 0
tare race leaves --kernel 7.5
tare race leaves --kernel seven
tare race leaves --kernel 99999999999999999999
tare race leaves --steps 0
tare race leaves --seeds -1
tare race leaves --lr 0
tare race leaves --lr nan
tare race leaves --lr inf
tare race leaves --lr 1e400
tare race leaves --lr 0.01x
tare race leaves --batch 1000000
tare race leaves --brightness -0.5
tare race leaves --threads 1000
tare train leaves --out m --epochs 0
tare train leaves --out m --epochs 1 --steps 5
tare train leaves
tare data leaves --images 1
tare data leaves --columns 0
left
