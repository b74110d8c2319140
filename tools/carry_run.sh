#!/usr/bin/env bash
# Runs what tools/carry packed, with this machine's torch 2.11.
#   ./run                every test program; ends with status 1 if one failed
#   ./run PROGRAM ARG... one program of bin/
# TESSERA_TORCH_DIR: the torch package's folder, where python3 does not find it.
set -euo pipefail
cd "$(dirname "$0")"
here="$PWD"

torch="${TESSERA_TORCH_DIR:-}"
if [ -z "$torch" ]; then  # found without importing it, which would take seconds and the whole of CUDA
  torch="$(python3 -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")')"
fi
[ -f "$torch/lib/libtorch_cpu.so" ] || { echo "no torch found: set TESSERA_TORCH_DIR to its package folder" >&2; exit 1; }
version="$(sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$torch/version.py")"
case "$version" in 2.11.*) ;; *) echo "torch $version found, 2.11 is needed: $torch" >&2; exit 1 ;; esac

libraries="$here/lib:$torch/lib"
for cuda in "$torch/../nvidia/cu13/lib" "${CUDA_HOME:-/usr/local/cuda}/lib64"; do  # libcudart, which torch loads too
  if [ -d "$cuda" ]; then libraries+=":$cuda"; fi
done
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export TESSERA_REFERENCE_DIR="$here/tests/reference"
if [ $# -gt 0 ]; then
  program="$1"
  shift
  [ -x "bin/$program" ] || { echo "no program $program; there are: $(ls bin | xargs)" >&2; exit 2; }
  exec "bin/$program" "$@"
fi

failed=()
for program in bin/*_test; do
  name="$(basename "$program")"
  status=0
  "$program" --gtest_brief=1 >"$name.log" 2>&1 || status=$?
  if [ "$status" = 0 ]; then
    passed="$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$name.log")"
    skipped="$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p' "$name.log")"
    echo "$name: ${passed:-0} passed, ${skipped:-0} skipped"
    sed -n 's/^\[  SKIPPED \] \([A-Za-z].*\)/  skipped: \1/p' "$name.log" | sort -u
  else
    echo "$name: failed with status $status; the end of $name.log:"
    tail -n 20 "$name.log"
    failed+=("$name")
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
