# SPDX-License-Identifier: Apache-2.0
# The two commands of the README, `make demo` and `make test`, do their whole set-up on a fresh Debian machine.
#   make                    build
#   make demo               the race on built-in images, about 3 minutes; writes demo/race.html and demo/race.json
#   make demo PHOTOS=DIR    the same on your photos
#   make test               everything that CI checks
#   make test-aarch64       the kernels and the convolution built for aarch64, under qemu-user (about 4 minutes)
#   make test-frameworks    the Python package under TensorFlow, PyTorch and JAX (downloads them, 1 GB)
#   make wheel              a Python wheel that needs no other library, in build-python/wheel
#   make test-threads       two trainings at once, pools, loaders, races and ranks under TSan
#   make test-valgrind      files and trainings under valgrind, two at once too
#   make test-msan          unit tests of most rooms under MSan, without oneDNN
#   make coverage           how much of each room the suites unit and cli run (doc/testing.md)
#   make test-long SECONDS=3600   a training so long within 1 GiB, its memory looked at 60 times
#   make fuzz SECONDS=60    every reader on mutated files, for so long each (doc/testing.md)
#   make reference          the API reference in reference/html (installs doxygen)
#   make bench              speed of the bases against the machine's peak
#   make install [PREFIX=/usr/local] [DESTDIR=...], make uninstall
#   make dist               the source of the last commit as build/meson-dist/tare-VERSION.tar.xz
#   make deb                Debian packages of the last commit, in build-deb/source (make test-deb: tried in an empty Debian, as root)
#   make clean
PREFIX =
BUILD = build
RACE = --steps 400 --seeds 2
THREADED = base data data_idx train trouble race_runs ranks
KNOWN = base basis kernel direct conv conv_brightness conv_threads engine format format_files net net_gradient net_line net_start data_images round look race

all: $(BUILD)/build.ninja
	scripts/setup build
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	scripts/setup build
	meson setup $(BUILD) $(MESON_OPTIONS)

demo: setup-demo
	$(MAKE) --no-print-directory all
	mkdir -p demo
	$(BUILD)/cli/tare race $(if $(PHOTOS),'photos:$(PHOTOS)',leaves) $(RACE) --report demo/race.html --json demo/race.json
	@echo "Open $(CURDIR)/demo/race.html in a browser: curves, filters, examples. The numbers are in demo/race.json."

setup-demo:
	scripts/setup build $(if $(PHOTOS),photos)
	$(if $(PHOTOS),scripts/with-photos $(BUILD))

test:
	scripts/setup build photos test
	scripts/test

test-frameworks:
	scripts/setup build test
	scripts/test-python frameworks

wheel:
	scripts/setup build test
	scripts/wheel

test-aarch64:
	scripts/setup build test aarch64
	scripts/cross-aarch64

test-threads:
	scripts/setup build test
	[ -e build-threads/build.ninja ] || meson setup build-threads -Db_sanitize=thread -Db_lundef=false -Dbuildtype=debugoptimized
	ninja -C build-threads tests/embed/two $(addprefix tests/unit/test_,$(THREADED))
	TSAN_OPTIONS=suppressions=$(CURDIR)/tests/embed/tsan.supp meson test -C build-threads --no-rebuild --print-errorlogs --timeout-multiplier 6 embed-two $(THREADED)

# valgrind knows no AVX-512.
test-valgrind: all
	scripts/setup test valgrind
	TARE_CPU=avx2 ONEDNN_MAX_CPU_ISA=AVX2 meson test -C $(BUILD) --print-errorlogs --timeout-multiplier 30 \
	  --wrap 'valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite' base format train_files embed-two

# The libraries underneath are not built for MSan, so what they write on the heap counts as known; tests/msan.ignore has what they write on the stack.
test-msan:
	scripts/setup build test fuzz
	[ -e build-msan/build.ninja ] || CC=clang meson setup build-msan -Db_sanitize=memory -Db_lundef=false -Dbuildtype=debugoptimized -Donednn=disabled \
	  -Dphotos=disabled -Dmpi=disabled -Ddefault_library=static -Dc_args=-fsanitize-ignorelist=$(CURDIR)/tests/msan.ignore
	ninja -C build-msan $(addprefix tests/unit/test_,$(KNOWN))
	MSAN_OPTIONS=halt_on_error=1:poison_in_malloc=0:poison_in_free=0:intercept_memcmp=0:intercept_strcmp=0:intercept_strlen=0:intercept_strchr=0 \
	  meson test -C build-msan --no-rebuild --print-errorlogs --timeout-multiplier 6 $(KNOWN)

coverage:
	scripts/setup build photos test coverage
	scripts/coverage

test-long: all
	tests/crash/hours.sh $(BUILD)/cli/tare $(or $(SECONDS),3600)

fuzz:
	scripts/setup build fuzz
	scripts/fuzz $(SECONDS)

reference:
	scripts/setup reference
	scripts/reference reference

bench: all
	ninja -C $(BUILD) bench/bench-basis
	$(BUILD)/bench/bench-basis

# Where the photos module is looked for is compiled in, so another prefix is another build; DESTDIR only moves the files.
install: $(BUILD)/build.ninja
	$(if $(PREFIX),meson configure $(BUILD) --prefix $(abspath $(PREFIX)))
	$(MAKE) --no-print-directory all
	meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

uninstall:
	scripts/uninstall $(BUILD)

dist: $(BUILD)/build.ninja
	meson dist -C $(BUILD) --no-tests --formats xztar

deb:
	scripts/setup build photos test deb
	scripts/deb

test-deb:
	scripts/setup build photos test deb
	scripts/deb test

clean:
	rm -rf $(BUILD) build-* demo reference

.PHONY: all demo setup-demo test test-frameworks wheel test-aarch64 test-threads test-valgrind test-msan test-long coverage fuzz reference bench install uninstall dist deb test-deb clean
