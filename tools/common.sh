# Sourced by the scripts beside it, which set `tool` first: messages, the repository's root, its dependencies.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
repository="$PWD"
deps="${TESSERA_DEPS:-$repository/.deps}"
cores="$(nproc)"

bold= plain=
if [ -t 2 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi

say() { printf '%s[%s]%s %s\n' "$bold" "$tool" "$plain" "$*" >&2; }
die() { printf '[%s] error: %s\n' "$tool" "$*" >&2; exit 1; }
# The comment at the head of a script is its help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }
