# What the command says about itself.
tare
tare --help | head -n 3
for verb in race basis train eval check round export filter data bench; do tare $verb --help; done
tare help eval | head -n 3
tare race --kernel=x --help | head -n 3
tare --version | numbers | grep -E '^tare|CPU' | sed 's/: .*/: .../'
COLUMNS=60
export COLUMNS
tare eval --help
