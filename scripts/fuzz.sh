#!/usr/bin/env bash
# The guard under inputs that a fuzzer makes up, beside its oracle, for so many seconds (60).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/install.sh
install_debian c++:g++
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
cargo +nightly fuzz run guard -- -max_total_time="${1:-60}" -max_len=1800 -print_final_stats=1
