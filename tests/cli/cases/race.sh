# A race so small that only its form counts.
small='--images 6 --patch 16 --kernel 3 --steps 5 --batch 8 --threads 1'
tare race leaves $small --lr 0.01 --json race.json | numbers
helper shape race.json
tare race leaves $small --methods none,spectral --lr 0.01 --seeds 1 --quiet --json - >out
sed 1d out >plain.json
helper shape plain.json | head -n 8
tare race leaves $small --methods difference,pivot --seeds 1 --no-bn --init response | numbers
# A rate that makes every run's loss overflow is reported, and stops nothing.
tare race leaves $small --methods none,spectral --optimizer sgd --lr 1000 --no-bn --seeds 1 | numbers
left
