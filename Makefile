# make demo: everything from nothing to a trained model, in about two minutes behind the build.
# make help: the rest.

# Tests need -enable-testing, and flags that change make SwiftPM build everything again: two folders, built once each.
RELEASE := .build/release/longzoo
TESTING := .build-testing
TEST_FLAGS := -c release --scratch-path $(TESTING) -Xswiftc -enable-testing --disable-xctest
SWIFT_FILES := Package.swift Sources Examples Tests Benchmarks corpora
TEST_ARGUMENTS ?=
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help demo build examples test test-static test-long sanitize bench format lint deps clean

help:
	@echo "make demo       install what is missing, build, train on the bundled corpus for two minutes"
	@echo "make build      build $(RELEASE)"
	@echo "make test       run all tests that are quick; TEST_ARGUMENTS='--filter Name' for some of them"
	@echo "make test-static  see that the program that make build links runs where there is no Swift"
	@echo "make test-long  run the slow ones as well"
	@echo "make sanitize   run the C kernels under AddressSanitizer, UndefinedBehaviorSanitizer and valgrind"
	@echo "make examples   build and run the programs in Examples, which use longzoo as a library"
	@echo "make bench      measure this machine, the kernels on it, and PyTorch beside them, into Benchmarks/results.md;"
	@echo "                BENCH='peers paper' for some sections, BENCH=--quick, BENCH=--check, BENCH=--help"
	@echo "make format     bring the sources into the house style; make lint only checks it"
	@echo "make deps       install the headers that are missing (Debian, Ubuntu)"
	@echo "make clean      remove what was built"

# 64 pairs are fast enough for every stream to run through a million tokens, or nearly, in the time.
demo: build
	$(RELEASE) train --context 1000000 --pairs 64 --max-seconds 110

# Swift's libraries go into the program, so that a copy of it runs where there is no Swift; OpenBLAS, zstd and lz4 are the system's.
build: deps
	swift build -c release --static-swift-stdlib --product longzoo

# One build: the tests run the program that is built with them.
test: deps
	LONGZOO_BINARY="$(CURDIR)/$(TESTING)/release/longzoo" swift test $(TEST_FLAGS) $(TEST_ARGUMENTS)

# The program that make build links for machines without Swift.
test-static: build
	LONGZOO_STATIC_BINARY="$(CURDIR)/$(RELEASE)" $(MAKE) test TEST_ARGUMENTS='--filter StaticProgramTests'

test-long: export LONGZOO_LONG_TESTS := 1
test-long: test

# A package that depends on this one, as any other would.
EXAMPLES := swift run --package-path Examples --scratch-path .build-examples -Xcc -O2
examples: deps
	rm -rf .build-examples/runs
	$(EXAMPLES) FromArray .build-examples/runs/array
	$(EXAMPLES) FromFile corpora/zoo.zst .build-examples/runs/file

sanitize:
	Tests/KernelSanitizer/run.sh

bench: build
	python3 Benchmarks/run.py $(BENCH)

format:
	swift format --in-place --recursive --parallel $(SWIFT_FILES)

lint:
	swift format lint --strict --recursive --parallel $(SWIFT_FILES)

clean:
	rm -rf .build .build-examples $(TESTING)

# Compiling a line finds headers wherever the system keeps them; apt is asked only if one is missing.
deps:
	@command -v swift >/dev/null || { \
	  echo "longzoo needs Swift 6.2 or later, and there is no swift on the PATH: see https://www.swift.org/install" >&2; \
	  exit 1; }
	@compiler=$$(command -v clang || command -v cc || command -v gcc); missing=; \
	for pair in cblas.h:libopenblas-dev lz4frame.h:liblz4-dev zstd.h:libzstd-dev; do \
	  echo "#include <$${pair%%:*}>" | "$$compiler" -fsyntax-only -x c - 2>/dev/null \
	    || dpkg -s "$${pair##*:}" >/dev/null 2>&1 || missing="$$missing $${pair##*:}"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	echo "installing$$missing"; \
	as_root=; [ "$$(id -u)" -eq 0 ] || as_root=sudo; \
	export DEBIAN_FRONTEND=noninteractive; \
	command -v apt-get >/dev/null && { [ -z "$$as_root" ] || command -v sudo >/dev/null; } \
	  && $$as_root apt-get update -qq \
	  && $$as_root apt-get install -y -qq --no-install-recommends $$missing >/dev/null \
	|| { echo "please install$$missing (Debian and Ubuntu names) and run make again" >&2; exit 1; }
