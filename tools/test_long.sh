# Sourced by tools/test --long, whose functions it uses.

sanitized() {  # PRESET LABEL...
  local preset="$1"
  shift
  tools/build "$preset" && suites "$preset" "$cores" "$@"
}

fuzz() {  # every target for a minute, from its corpus of real files
  tools/build fuzz fuzzers || return 1
  local target name corpus status=0
  for target in build/fuzz/tests/fuzz/*_fuzzer; do
    name="$(basename "$target")"
    corpus="build/fuzz/corpus/$name"
    mkdir -p "$corpus"
    say "$name, 60 s"
    TMPDIR=/dev/shm "$target" -max_total_time=60 -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="build/fuzz/$name-" \
      "$corpus" >"build/fuzz/$name.log" 2>&1 || { tail -n 40 "build/fuzz/$name.log" >&2; status=1; }
    grep -E 'number_of_executed_units|new_units_added' "build/fuzz/$name.log" >&2 || true
  done
  return "$status"
}

part "AddressSanitizer and UBSan: unit and golden tests" sanitized asan unit golden
part "ThreadSanitizer: unit tests of server, client and link" sanitized tsan unit
part "fuzzers" fuzz
if [ "$(id -u)" = 0 ]; then part "images and compose services" tools/test_deploy; else say "images and compose services: skipped, they need root"; fi
part "every fault, and five minutes of soak" tools/faults --soak 300
