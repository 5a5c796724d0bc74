# `make` prints what there is. Set-up takes what is installed and installs what is missing; see .ci/setup.

# Where cargo puts its files: CARGO_TARGET_DIR, its configuration's, or ./target.
TARGET = $(or $(CARGO_TARGET_DIR),$(shell cargo metadata --format-version 1 --no-deps \
	| sed 's/.*"target_directory":"\([^"]*\)".*/\1/'))

# How many times the usual number of sequences, mutations and kills `make soak` tries.
TIMES = 10
# How long `make fuzz` gives each target.
FUZZ_SECONDS = 60

.PHONY: help setup demo test soak fuzz bench lint clean

help:
	@echo 'make demo    CPython on a key-value store: two processes, one store (sets up what it takes, and no more)'
	@echo 'make test    all tests (sets up what is missing)'
	@echo 'make soak    everything random for longer, from seeds of its own: TIMES=$(TIMES) as long as the tests'
	@echo 'make fuzz    libFuzzer on each target of the engine for FUZZ_SECONDS=$(FUZZ_SECONDS) (needs cargo-fuzz, C++)'
	@echo 'make bench   what file operations cost, beside the file system of the host'
	@echo 'make lint    formatting and lints'
	@echo 'make setup   install what the tests take: wasm targets, componentize-py, -js, wasmtime (several), zig'
	@echo 'make clean   remove what was built'

setup:
	@.ci/setup

# Only what it uses: the rest is for tests.
demo:
	@start=$$(date +%s) && .ci/setup demo && tests/python/demo '$(TARGET)' "$$(($$(date +%s) - start))"

test: setup
	@.ci/test

soak: setup
	@.ci/soak '$(TIMES)'

fuzz:
	@.ci/fuzz '$(FUZZ_SECONDS)' '$(TARGET)'

# A backtrace for every error code of the host would be measured with it.
bench:
	@.ci/setup bench
	@env -u RUST_BACKTRACE cargo bench --package kvfs-tests --bench fs

lint:
	cargo fmt --all --check
	cargo fmt --manifest-path tests/guests/Cargo.toml --all --check
	cargo fmt --manifest-path tests/guests/std/Cargo.toml --check
	cargo fmt --manifest-path adapter/engine/fuzz/Cargo.toml --check
	@.ci/features
	cargo clippy --workspace --all-targets -- -D warnings

clean:
	cargo clean
