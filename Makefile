# `make` prints what there is. Set-up takes what is installed and installs what is missing; see .ci/setup.

# Where cargo puts its files: CARGO_TARGET_DIR, its configuration's, or ./target.
TARGET = $(or $(CARGO_TARGET_DIR),$(shell cargo metadata --format-version 1 --no-deps \
	| sed 's/.*"target_directory":"\([^"]*\)".*/\1/'))

.PHONY: help setup demo test bench lint clean

help:
	@echo 'make demo    CPython on a key-value store: two processes, one store (sets up what is missing)'
	@echo 'make test    all tests (sets up what is missing)'
	@echo 'make bench   what file operations cost, beside the file system of the host'
	@echo 'make lint    formatting and lints'
	@echo 'make setup   install the wasm target and componentize-py, if they are missing'
	@echo 'make clean   remove what was built'

setup:
	@.ci/setup

demo: setup
	@tests/python/demo '$(TARGET)'

test: setup
	@.ci/test

# A backtrace for every error code of the host would be measured with it.
bench: setup
	@env -u RUST_BACKTRACE cargo bench --package kvfs-tests --bench fs

lint:
	cargo fmt --all --check
	cargo fmt --manifest-path tests/guests/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings

clean:
	cargo clean
