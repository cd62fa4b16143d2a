# An output that cannot be written is said before any work, and nothing is left behind.
mkdir folder
tare train leaves --images 4 --steps 100000 --out missing/m.safetensors
tare train leaves --images 4 --steps 100000 --out folder
tare train leaves --images 4 --steps 100000 --out m.safetensors --checkpoint missing/c
tare train leaves --images 4 --steps 100000 --out m.safetensors --log missing/log
tare train leaves --images 4 --steps 100000 --out m.safetensors --json missing/j
tare train leaves --images 4 --steps 100000 --out m.safetensors --json m.safetensors
tare train leaves --images 4 --steps 100000 --out /dev/null
tare race leaves --steps 100000 --json missing/race.json
tare race leaves --steps 100000 --json folder
tare data leaves --images 4 --preview missing/sheet.png
tare basis --picture missing/b.png
tare basis --picture basis.jpg
tare train leaves --images 4 --steps 100000 --out m.onnx
tare basis --json /dev/full | tail -n 2
"$tare_binary" basis >/dev/full
echo "exit $?"
left
