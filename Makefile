# Every task is one word. Each gets what it needs, and says what it does.
#
#   make demo    hear a crash on this machine's loopback, explained in words
#   make test    everything: unit, property and end-to-end tests, the crash of a real kernel too
#   make vm      only the crash of a real kernel in a VM, with its timing table; RUNS=5
#   make bench   speed, size and memory, beside the stock tools of this machine; writes the README's numbers
#   make fuzz    searches for inputs that break a parser or a state machine; SECONDS=60
#   make coverage  how much of core these inputs reach
#   make miri    core and the C library without undefined behaviour, also as a big-endian machine
#   make sanitize  the tests of listener and sender, whose unsafe code miri cannot run, with an address sanitizer
#   make model   every state of the safety claim, in larger bounds than those of the tests
#   make faults  shows that the tests can fail: faults are put into core, and have to be caught
#   make mutants the same with every small change of core; hours
#   make dist    what a distribution installs, in target/dist
#   make header  regenerates the generated files: C header, metadata, man pages, completions

BUILD := $(or $(CARGO_TARGET_DIR),target)
DIST := target/dist
CARGO := cargo

# The sender runs where nothing else does, so it is also built for other machines' crash kernels.
# Their linker is the one that comes with rustc: nothing but the Rust target is needed.
FOREIGN := aarch64-unknown-linux-musl s390x-unknown-linux-gnu powerpc64le-unknown-linux-gnu \
           x86_64-unknown-linux-musl

help:
	@sed -n '3,/^$$/s/^#  *//p' Makefile

# Machines without an operating system, for core.
BARE := x86_64-unknown-none thumbv7em-none-eabi

.PHONY: help demo test vm bench fuzz model faults mutants dist senders header prepare check unit e2e clean
.DELETE_ON_ERROR:

demo: agent-and-sender
	@tests/demo $(DIST)

# The two programs alone: all that a look at the thing needs.
.PHONY: agent-and-sender
agent-and-sender:
	@tests/toolchain
	$(CARGO) build --release -p fence-kdump --bin fence_kdump
	$(CARGO) sender
	$(CARGO) sender-udp
	@mkdir -p $(DIST)/udp
	install -m 755 $(BUILD)/release/fence_kdump $(BUILD)/static/fence_kdump_send $(DIST)
	install -m 755 $(BUILD)/static-udp/fence_kdump_send $(DIST)/udp

dist: agent-and-sender
	$(CARGO) build --release -p fence-kdump --bins
	install -m 755 $(BUILD)/release/fence_kdumpd $(BUILD)/release/fence_kdumpctl $(DIST)
	$(CARGO) c-library --crate-type staticlib
	install -m 644 $(BUILD)/c-library/libfence_kdump_capi.a $(DIST)/libfence_kdump.a
	$(CARGO) c-library --crate-type cdylib -- $(addprefix -Clink-arg=,$(SHARED))
	install -m 755 $(BUILD)/c-library/libfence_kdump_capi.so $(DIST)/libfence_kdump.so.0
	ln -sf libfence_kdump.so.0 $(DIST)/libfence_kdump.so
	install -m 644 dist/fence_kdump.pc $(DIST)
	install -m 644 include/fence_kdump.h $(DIST)
	@echo "In $(DIST):" && ls -l $(DIST)

# The shared library has a name of its own, and nothing undefined but what a C library has.
SHARED := -Wl,-soname,libfence_kdump.so.0 -Wl,-z,defs -lc

# A folder of $(DIST) for each other machine whose Rust target is installed.
senders:
	@for target in $(FOREIGN); do \
	    rustc --print target-libdir --target $$target | xargs test -d || \
	        { echo "SKIPPED: sender for $$target: rustup target add $$target"; continue; }; \
	    echo "sender for $$target"; \
	    $(CARGO) sender -q --target $$target && $(CARGO) sender-udp -q --target $$target || exit 1; \
	    arch=$${target%%-*}; \
	    test $$target = x86_64-unknown-linux-musl && arch=musl; \
	    install -D $(BUILD)/$$target/static/fence_kdump_send $(DIST)/$$arch/fence_kdump_send; \
	    install -D $(BUILD)/$$target/static-udp/fence_kdump_send $(DIST)/$$arch/udp/fence_kdump_send; \
	done

test: check unit dist senders e2e
	$(MAKE) fuzz SECONDS=30

# What needs no program run: format, lints, and core for machines without an operating system.
check: prepare
	$(CARGO) fmt --all --check
	$(CARGO) clippy -q --workspace --all-targets -- -D warnings
	$(CARGO) clippy -q -p fence-kdump-core --features arbitrary -- -D warnings
	@for features in "" early; do \
	    $(CARGO) clippy -q -p fence-kdump-send --no-default-features --features "$$features" -- -D warnings || exit 1; \
	done
	@for target in $(BARE); do \
	    if rustc --print target-libdir --target $$target | xargs test -d; then \
	        echo "core for $$target" && \
	        $(CARGO) build -q -p fence-kdump-core --target $$target || exit 1; \
	    elif test "$$CI" = true; then echo "core for $$target: no such Rust target here"; exit 1; \
	    else echo "SKIPPED: core for $$target: rustup target add $$target"; fi; \
	done
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc -q --workspace --no-deps
	@for fault in core/model/faults/*.patch; do git apply --check $$fault || exit 1; done
	cd fuzz && $(CARGO) fmt --check

unit: prepare
	FENCE_KDUMP_SKIP=$$(cat target/skip) $(CARGO) test --no-fail-fast --workspace --exclude fence-kdump-tests \
	    --exclude fence-kdump-instructions --exclude fence-kdump-model
	$(CARGO) test -p fence-kdump-model -- --nocapture
	$(CARGO) test --release -p fence-kdump-instructions -- --nocapture

# FENCE_KDUMP_SKIP names what the tests agreed to do without; tests/prepare has said so aloud.
e2e: prepare
	FENCE_KDUMP_SKIP=$$(cat target/skip) $(CARGO) test --no-fail-fast -p fence-kdump-tests

prepare:
	@mkdir -p target
	@tests/prepare > target/skip

# One machine at a time, so that the timing table is of it alone; RUNS=5 for medians.
RUNS ?= 1
vm: prepare dist
	FENCE_KDUMP_SKIP=$$(cat target/skip) FENCE_KDUMP_VM_RUNS=$(RUNS) \
	    $(CARGO) test -p fence-kdump-tests --test vm --test vm_images -- --nocapture --test-threads=1

# All numbers of the README, which this writes; what is limited is limited by tests.
bench: prepare dist senders
	$(CARGO) bench -p fence-kdump-benches -- --noplot
	FENCE_KDUMP_SKIP=$$(cat target/skip) $(CARGO) test -p fence-kdump-tests \
	    --test sender_budget --test sizes -- --nocapture --test-threads=1
	$(CARGO) run -p fence-kdump-numbers

# All targets in parallel, each for so many seconds.
SECONDS ?= 60
.PHONY: fuzz coverage miri sanitize
fuzz: prepare
	@fuzz/run $(SECONDS)

# How many lines of core the fuzz targets reach; fails below 95 %.
coverage: prepare
	@fuzz/coverage 95

# Core and the C library in an interpreter that sees every undefined behaviour, as a big-endian machine, too.
MIRI := PROPTEST_CASES=2 MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-strict-provenance" $(CARGO) +nightly miri test -q
miri:
	@rustup toolchain list | grep -q nightly || rustup toolchain install nightly --profile minimal
	@rustup +nightly component add miri rust-src
	$(MIRI) -p fence-kdump-capi --test calls --test frozen
	$(MIRI) -p fence-kdump-core
	$(MIRI) -p fence-kdump-capi --test calls --test frozen --target s390x-unknown-linux-gnu
	$(MIRI) -p fence-kdump-core --target s390x-unknown-linux-gnu

# Where miri cannot go: what speaks to the kernel. Only these two are built anew, and what stands on them.
sanitize: prepare
	ASAN_OPTIONS=detect_leaks=0 RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/fuzz/sanitizer \
	    $(CARGO) test -p fence-kdump -p fence-kdump-send --lib

model:
	FENCE_KDUMP_MODEL=large $(CARGO) test -p fence-kdump-model -- --nocapture

faults:
	core/model/faults/run

mutants:
	@command -v cargo-mutants >/dev/null || { echo "installing cargo-mutants"; $(CARGO) install cargo-mutants --locked; }
	PROPTEST_CASES=64 $(CARGO) mutants -p fence-kdump-core --output target

header: agent-and-sender
	UPDATE=1 $(CARGO) test -q -p fence-kdump-capi --test header
	$(DIST)/fence_kdump -o metadata > dist/fence_kdump.metadata.xml
	UPDATE=1 $(CARGO) test -q -p fence-kdump --test generated

clean:
	$(CARGO) clean
