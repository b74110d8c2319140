# Sourced by the scripts beside it, which set `tool` first: goes to the repository's root and provides $venv with torch and
# diffusers, the one of tools/bench/compare_diffusers. TESSERA_TRAIN_VENV: another, such as a GPU machine's own torch.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
case "${1:-}" in -h | --help) usage; exit ;; esac

venv="${TESSERA_TRAIN_VENV:-$deps/bench-venv}"
if [ -z "${TESSERA_TRAIN_VENV:-}" ]; then
  requirements=tests/reference/requirements.txt
  stamp="$venv/.installed-$(sha256sum "$requirements" | cut -c1-16)"
  if [ ! -f "$stamp" ]; then
    say "installing diffusers and torch into ${venv#"$repository"/}: 5 GB, some minutes"
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
    touch "$stamp"
  fi
fi
