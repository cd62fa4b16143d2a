# What a source holds.
tare data leaves --images 8 --patch 16 --preview sheet.png --columns 3
head -c 8 sheet.png | od -An -c
tare data leaves --images 8 --patch 16 --json -
mkdir idx
helper idx idx 60 30
tare data mnist:idx --json data.json --quiet
helper shape data.json
left
