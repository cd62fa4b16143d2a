# A race so small that only its form counts: who is ahead is chance.
small='--images 6 --patch 16 --kernel 3 --steps 5 --batch 8 --threads 1 --timing 0.1'
names() { numbers | sed -E -e '/^to ref/,/^Accuracy/d' -e 's/^([a-z-]+(\(N\))?) .*(N|-|[0-9/]+)$/\1 .../' -e 's/: [a-z].*/: .../' | sort; }
tare race leaves $small --lr 0.01 --json race.json | names
helper shape race.json
tare race leaves $small --methods none,spectral --lr 0.01 --seeds 1 --quiet --json - >out
sed 1d out >plain.json
helper shape plain.json | head -n 8
tare race leaves $small --methods difference,pivot --seeds 1 --no-bn --init response | names
# What a report adds to the JSON, and a page that holds it.
tare race leaves $small --methods none,spectral --lr 0.01 --seeds 2 --report race.html --json reported.json | grep wrote
helper shape reported.json | grep -E 'looks|sizes|examples'
grep -c '"kind":"race"' race.html
tare race leaves $small --lr 0.01 --report /nowhere/race.html
tare race leaves $small --lr 0.01 --report same --json same
# A rate that makes every run's loss overflow is reported, and stops nothing.
tare race leaves $small --methods none,spectral --optimizer sgd --lr 1000 --no-bn --seeds 1 | numbers
# The result does not depend on the threads.
for threads in 1 2; do
  "$tare_binary" race leaves $small --methods spectral,pivot --lr 0.01 --seeds 2 --quiet --json t$threads.json --threads $threads >/dev/null
  helper get t$threads.json runs | sed 's/"step_ms":[^,]*,//g' >runs$threads
done
cmp runs1 runs2 && echo same
left
