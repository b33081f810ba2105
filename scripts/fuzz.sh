#!/usr/bin/env bash
# Every target of fuzz/ under inputs that a fuzzer makes up, for so many seconds each (60), or the
# targets named after them: scripts/fuzz.sh 600 config scenario
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/install.sh
install_debian c++:g++
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz

# SQLite, which is linked and not run, has two private tables of one name.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_odr_violation=0

seconds=${1:-60}
shift || true
[ $# -gt 0 ] || set -- guard config scenario record proxy report source_{cypress,har,jest,mocha,mochawesome} \
    source_{playwright,pytest_json,robot,selenium}
for target in "$@"; do
    # The fixtures are where the fuzzer starts from; what it finds goes to the folder named first.
    case $target in
        guard) seeds=() longest=1800 ;;
        config) seeds=(fixtures/config) longest=16384 ;;
        scenario) seeds=(fixtures/scenarios) longest=16384 ;;
        record) seeds=(fuzz/seeds/record) longest=4096 ;;
        proxy) seeds=(fuzz/seeds/proxy) longest=2048 ;;
        report | source_*) seeds=(fixtures/profiling) longest=65536 ;;
        *) echo "error: no fuzz target $target" >&2; exit 2 ;;
    esac
    mkdir -p "fuzz/corpus/$target"
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "${seeds[@]}" -- \
        -max_total_time="$seconds" -max_len="$longest" -timeout=20 -print_final_stats=1
done
