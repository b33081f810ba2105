#!/usr/bin/env bash
# The guard on a Cortex-M3 in QEMU: a recorded trace replayed there and here, byte for byte; defmt
# frames decoded and compared; the size of our code, linked so that no panic can be reached.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/install.sh

step() { printf '\n== %s\n' "$*"; }
passed=0 failed=0
# check NAME COMMAND...: counts, and goes on to the next one.
check() {
    local name=$1
    shift
    step "$name"
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name" >&2
    fi
}

step "install what is missing"
install_debian cc:gcc cc:libc6-dev qemu-system-arm:qemu-system-arm
rustup --quiet component add rustfmt clippy
rustup --quiet target add thumbv7m-none-eabi

cd core/firmware
# Apart from the workspace's: another profile, another target.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../../target/firmware}
images=$CARGO_TARGET_DIR/thumbv7m-none-eabi/release
host=$CARGO_TARGET_DIR/debug/crossbridge-firmware-host
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# An image ends by itself within a second; one that does not is stopped.
on_target() {
    timeout 60 qemu-system-arm -M lm3s6965evb -cpu cortex-m3 -display none -monitor none -serial none \
        -semihosting-config enable=on,target=native -kernel "$images/$1" 2>"$out/qemu" && return
    local status=$?
    echo "$1 ended with status $status" >&2
    cat "$out/qemu" >&2
    return "$status"
}

build() { cargo build --quiet --locked "$@"; }

step "build"
build -p crossbridge-firmware-host
# The sizes are those without defmt: its image is built apart.
build --release --target thumbv7m-none-eabi --bin replay --bin ram --bin size_empty
build --release --target thumbv7m-none-eabi --bin frames --features frames

linted() {
    cargo fmt --all --check &&
        cargo clippy --quiet --locked -p crossbridge-firmware-host -- -D warnings &&
        cargo clippy --quiet --locked --release --target thumbv7m-none-eabi --bins --features frames -- -D warnings
}

recorded() { "$host" record >"$out/trace" && cmp trace.txt "$out/trace" && "$host" covered; }

replayed() {
    "$host" replay >"$out/host" && on_target replay >"$out/target" && cmp "$out/host" "$out/target" &&
        echo "$(wc -l <"$out/host") lines, $(wc -c <"$out/host") bytes, equal"
}

framed() { on_target frames >"$out/frames" && "$host" frames "$images/frames" "$out/frames"; }

# The panic handler of these images calls what nobody defines.
no_panic() {
    build --release --target thumbv7m-none-eabi --bin size_gcra --bin size_gcra_any --bin size_limiter \
        --bin size_guard --bin size_guard_checked || return
    if build --release --target thumbv7m-none-eabi --bin control_panics --features control 2>"$out/control" ||
        ! grep -q a_panic_can_be_reached "$out/control"; then
        echo "an image that panics was expected to miss a symbol" >&2
        return 1
    fi
    echo "every image links, and one that panics does not"
}

weighed() { "$host" sizes "$images" && printf '\nRAM in bytes\n' && on_target ram; }

check "format and lints" linted
check "the trace is the recorder's, and meets what it should" recorded
check "replay on the target equals the host's" replayed
check "defmt frames on a counter that starts over" framed
check "no panic path is linked" no_panic
check "flash in bytes, without start-up code" weighed

printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
