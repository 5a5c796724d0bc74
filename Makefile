# `make` prints the targets. Set-up uses what is installed and installs what is missing; see
# .ci/setup.

# Cargo's target directory: CARGO_TARGET_DIR, the one in cargo's configuration, or ./target.
TARGET = $(or $(CARGO_TARGET_DIR),$(shell cargo metadata --format-version 1 --no-deps \
	| sed 's/.*"target_directory":"\([^"]*\)".*/\1/'))

# `make soak` multiplies the number of sequences, mutations and kills by this.
TIMES = 10
# Seconds for each target of `make fuzz`.
FUZZ_SECONDS = 60

# Further arguments of `make bench`, `make bench-contenders`, `make bench-stores` and `make torture-stores`, such
# as --store NAME or --help.
ARGS =

# Where `make install` puts the command, its completions and its manual pages. DESTDIR goes in front, for packagers.
PREFIX = /usr/local
DESTDIR =
# The command to install. Built, unless it is given.
KVFS =

BIN = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share
BASH_COMPLETIONS = $(SHARE)/bash-completion/completions
ZSH_COMPLETIONS = $(SHARE)/zsh/site-functions
FISH_COMPLETIONS = $(SHARE)/fish/vendor_completions.d

.PHONY: install uninstall help setup demo test soak fuzz bench bench-contenders bench-stores torture-stores lint clean

help:
	@echo 'make demo    CPython on a key-value store: two processes, one store (sets up only what it needs)'
	@echo 'make test    all tests (sets up what is missing)'
	@echo 'make soak    the random tests with new seeds, TIMES=$(TIMES) times as many cases'
	@echo 'make fuzz    libFuzzer on each target of the engine, FUZZ_SECONDS=$(FUZZ_SECONDS) each (needs cargo-fuzz, C++)'
	@echo 'make bench   the cost of file operations, beside the host file system'
	@echo 'make bench-contenders  the same, beside eryx-vfs, and beside jco in Node, which it installs'
	@echo 'make bench-stores    the stores of the host beside those of others, ARGS="--help" for what to vary'
	@echo 'make torture-stores  the same stores, damaged, killed, on a full disk and opened twice'
	@echo 'make lint    formatting and lints'
	@echo 'make setup   install what the tests need: wasm targets, componentize-py, -js, wasmtime (several), zig'
	@echo 'make install  the command, completions for bash, zsh and fish, and manual pages, below PREFIX=$(PREFIX)'
	@echo 'make uninstall  removes them'
	@echo 'make clean   remove all build output'

setup:
	@.ci/setup

# Sets up only what the demo uses: the rest is for tests.
demo:
	@start=$$(date +%s) && .ci/setup demo && tests/python/demo '$(TARGET)' "$$(($$(date +%s) - start))"

test: setup
	@.ci/test

soak: setup
	@.ci/soak '$(TIMES)'

fuzz:
	@.ci/fuzz '$(FUZZ_SECONDS)' '$(TARGET)'

# RUST_BACKTRACE would add a backtrace for every error code of the host to the measurement.
bench:
	@.ci/setup bench
	@env -u RUST_BACKTRACE cargo run --release --package kvfs-bench -- run $(ARGS)

bench-contenders:
	@.ci/setup bench
	@.ci/setup bench-contenders
	@env -u RUST_BACKTRACE tests/benches/contenders/beside '$(TARGET)' \
		cargo run --release --package kvfs-bench -- run $(ARGS)

bench-stores:
	@cargo run --release --package kvfs-store-trials -- bench --dir '$(TARGET)/store-trials' $(ARGS)

torture-stores:
	@cargo run --release --package kvfs-store-trials -- torture --dir '$(TARGET)/store-trials' $(ARGS)

lint:
	cargo fmt --all --check
	cargo fmt --manifest-path tests/guests/Cargo.toml --all --check
	cargo fmt --manifest-path tests/guests/std/Cargo.toml --check
	cargo fmt --manifest-path adapter/engine/fuzz/Cargo.toml --check
	cargo fmt --manifest-path tests/benches/contenders/eryx/Cargo.toml --check
	@.ci/features
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --package kvfs-cli --no-default-features -- -D warnings

install:
	@test -n '$(KVFS)' || cargo build --release --package kvfs-cli
	install -d '$(BIN)' '$(SHARE)/man/man1' '$(BASH_COMPLETIONS)' '$(ZSH_COMPLETIONS)' '$(FISH_COMPLETIONS)'
	install -m 755 '$(or $(KVFS),$(TARGET)/release/kvfs)' '$(BIN)/kvfs'
	'$(BIN)/kvfs' completions bash >'$(BASH_COMPLETIONS)/kvfs'
	'$(BIN)/kvfs' completions zsh >'$(ZSH_COMPLETIONS)/_kvfs'
	'$(BIN)/kvfs' completions fish >'$(FISH_COMPLETIONS)/kvfs.fish'
	'$(BIN)/kvfs' man '$(SHARE)/man/man1'

# Manual pages are removed by their names: other programs have theirs beside them.
uninstall:
	rm -f '$(BIN)/kvfs' '$(BASH_COMPLETIONS)/kvfs' '$(ZSH_COMPLETIONS)/_kvfs' '$(FISH_COMPLETIONS)/kvfs.fish' \
		'$(SHARE)'/man/man1/kvfs.1 '$(SHARE)'/man/man1/kvfs-*.1

clean:
	cargo clean
