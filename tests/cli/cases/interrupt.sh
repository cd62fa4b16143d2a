# Ctrl-C: a checkpoint, one line that says how to go on, exit 130; the model is not written.
mkdir idx
helper idx idx 240 60
"$tare_binary" train mnist:idx --net 'conv 8x3 sum=0; relu; gap; dense 3' --batch 8 --threads 1 --steps 100000000 --out m.safetensors \
  --log log >out 2>err &
pid=$!
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  [ -s log ] && break
  sleep 0.5
done
kill -TERM $pid
wait $pid
echo "exit $?"
cat out
grep -v -e '^epoch' -e 'steps of' err
tare train mnist:idx --net 'conv 8x3 sum=0; relu; gap; dense 3' --batch 8 --threads 1 --steps 1 --out m.safetensors --resume | numbers | grep -e checkpoint -e 'going on'
rm -f log out err
left
