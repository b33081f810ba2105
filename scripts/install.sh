# Sourced by ../run and ../check: installs what a fresh Debian machine with only rustup lacks.

# Debian keeps the programs of PostgreSQL's server off the PATH.
for folder in /usr/lib/postgresql/*/bin; do
    [ -d "$folder" ] && PATH=$PATH:$folder
done

# install_debian PROGRAM:PACKAGE...: the packages whose program is not on the PATH.
install_debian() {
    local missing=() pair
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "error: please install: ${missing[*]}" >&2
        return 1
    fi
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    echo "installing ${missing[*]}" >&2
    "${as_root[@]}" apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
}

command -v cargo >/dev/null 2>&1 || PATH="$HOME/.cargo/bin:$PATH"
if ! command -v cargo >/dev/null 2>&1; then
    echo "error: cargo is not there; install Rust with rustup (https://rustup.rs)" >&2
    exit 1
fi
