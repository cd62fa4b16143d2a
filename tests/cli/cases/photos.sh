# Photos and folders of classes: what is not an image is skipped, counted, and named with --verbose.
for i in 1 2 3 4 5 6; do helper png photo$i.png 96 80 $i; done
mkdir photos classes classes/dots classes/bars tiny none
cp photo*.png photos
if ! "$tare_binary" data photos:photos >probe 2>&1 && grep -q 'needs libvips' probe; then echo SKIP; exit; fi
rm probe
tare data photos:photos
echo text >photos/notes.txt
echo nonsense >photos/broken.png
tare data photos:photos
tare data photos:photos --verbose | sort
echo text >none/a.txt
tare data photos:none
tare data photos:missing
for i in 1 2 3; do helper png tiny/$i.png 20 20 $i; done
tare data photos:tiny
tare data photos:photos --patch 90
cp photo[123].png classes/dots
cp photo[456].png classes/bars
tare data folder:classes --patch 32
echo text >classes/bars/notes.txt
tare data folder:classes --patch 32 --json -
if [ "$(id -u)" -ne 0 ]; then chmod 000 photos && "$tare_binary" data photos:photos >/dev/null 2>err; [ $? -eq 3 ] && [ "$(wc -l <err)" -eq 1 ] || cat err; fi
rm -f err photo*.png
left
