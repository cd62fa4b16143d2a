if tare --version | grep -q "no oneDNN"; then echo SKIP; exit; fi
# Problems so small that only the form of the report counts.
tare bench --list
tare bench --list replknet
tare bench --list --set first
small='--seconds 0.01 --threads 2'
rows() { grep -oE '"(pass|engine)": "[a-z_]*"' "$1" | paste -d' ' - -; }
tare bench n2c8h9o8k3p1 $small --json b.json | numbers | cut -d' ' -f1-5 | sed 's/^!* *tare N.*/first line/'
helper shape b.json
rows b.json
# A first layer needs no gradient of its images, unless it is asked for.
tare bench n2c1h9o8k5p2 $small --quiet --json first.json >out
rows first.json
tare bench n2c1h9o8k5p2 $small --quiet --passes all --alone --json first.json >out
rows first.json
# JSON on standard output alone; several problems; the reference; brightness; layouts; borders that oneDNN does not know.
tare bench n1c2h8o3k3 n1c5h8o4k3_edge $small --quiet --reference --layout nchw --offset 1000 --passes forward,step --json - >out
sed 1d out >b.json
rows b.json
tare bench n1c5h8o4k3_edge $small --passes backward_data --candidate reference | numbers | cut -d' ' -f1-8 | sed 's/^!* *tare N.*/first line/'
tare bench n1c5h8o4k3 $small --passes backward_data --alone --candidate im2col | numbers | sed 's/^!* *tare N.*/first line/'
# Wisdom: measured once, then known; a damaged file is no obstacle.
wise() { tare bench n1c5h9o4k3 $small --passes step --alone --reasons --wisdom w "$@" | grep -oE 'took|chosen by wisdom|w: .*|exit .*' | sort -u; }
wise
wise --measure
wise
wise --measure
head -n 1 w
echo damage >>w
wise
tare bench n1c5h9o4k3 $small --measure --wisdom nowhere/w
rm w
# Mistakes.
tare bench n1c5h8
tare bench n1c5h8o4k9
tare bench n1c2z4h8o3k3
tare bench --set nosuch
tare bench --list nosuch
tare bench n1c5h8o4k3 --passes forwards
tare bench n1c5h8o4k3 --candidate fast $small --quiet | grep -o "! .*'fast': expected"
tare bench n1c5h8o4k3 --layout chwn
rm out b.json first.json
left
