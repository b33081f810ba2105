#!/usr/bin/env bash
# Counts the instructions of each hot path under callgrind and compares them with the committed
# table. Fails when a path costs more than 3 % more than it says.
#
#   scripts/instructions.sh           compare
#   scripts/instructions.sh --write   write the table anew
#
# Counts do not depend on how busy the machine is. They depend on the compiler: the table names it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/install.sh
table=benches/instructions.txt
few=1000 many=11000

command -v valgrind >/dev/null || install_debian valgrind:valgrind
cargo build --quiet --locked --release -p crossbridge-benches --bin instructions
program=${CARGO_TARGET_DIR:-target}/release/instructions
counts=$(mktemp) now=$(mktemp)
trap 'rm -f "$counts" "$now"' EXIT

# Instructions of a whole run.
count() {
    valgrind --quiet --tool=callgrind --callgrind-out-file="$counts" "$program" "$1" "$2"
    awk '/^(summary|totals):/ { print $2; exit }' "$counts"
}

{
    echo "# Instructions per operation, counted by scripts/instructions.sh."
    echo "# $(rustc --version | cut -d' ' -f1-2), $(rustc --version --verbose | sed -n 's/^host: //p')"
    "$program" | while read -r path; do
        low=$(count "$path" "$few") high=$(count "$path" "$many")
        awk -v path="$path" -v sum=$((high - low)) -v times=$((many - few)) \
            'BEGIN { printf "%-26s %8.1f\n", path, sum / times }'
    done
} >"$now"

if [[ ${1:-} == --write ]]; then
    cp "$now" "$table"
    cat "$table"
    exit
fi

awk '
    /^#/ { if (FNR == 2) compiler[FILENAME] = $0; next }
    NR == FNR { committed[$1] = $2; next }
    {
        was = committed[$1]
        seen[$1] = 1
        if (was == "") { verdict = "new"; bad = 1 }
        else if ($2 > was * 1.03) { verdict = "WORSE"; bad = 1 }
        else if ($2 < was * 0.97) verdict = "better"
        else verdict = ""
        printf "%-26s %8s -> %8s  %s\n", $1, was, $2, verdict
    }
    END {
        for (path in committed) if (!(path in seen)) { print path " is gone"; bad = 1 }
        if (compiler[ARGV[1]] != compiler[ARGV[2]])
            print "the table is of another compiler: " compiler[ARGV[1]] " (here: " compiler[ARGV[2]] ")"
        if (bad) print "where that is meant: scripts/instructions.sh --write"
        exit bad
    }
' "$table" "$now"
