# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzing with libFuzzer. What a run finds stays in build/fuzz-corpus/NAME; fuzz/corpus/NAME is the
# seed that is kept in the tree.

# fuzz_one PROGRAM SECONDS
fuzz_one() {
  local program=$1 seconds=$2 name corpus
  name=$(basename "$program")
  corpus=build/fuzz-corpus/$name
  mkdir -p "$corpus" build/fuzz-findings
  local folders=("$corpus")
  if [[ -d fuzz/corpus/$name ]]; then folders+=("fuzz/corpus/$name"); fi
  ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-19 quietly "$LOGS/fuzz-$name.log" "$program" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz-findings/$name-" "${folders[@]}" || return 1
  say "$name: nothing found in" \
    "$(awk '/number_of_executed_units/ { print $2 }' "$LOGS/fuzz-$name.log") runs"
}

verb_fuzz() {
  local harness=${1:-all} seconds=${2:-20} failed=0 program
  if [[ $harness =~ ^[0-9]+$ ]]; then
    seconds=$harness
    harness=all
  fi
  say "fuzzing $harness, $seconds seconds each; what is found goes to build/fuzz-findings"
  need build fuzz
  build fuzz
  local programs=(build/fuzz/bin/fuzz_*)
  if [[ $harness != all ]]; then programs=("build/fuzz/bin/fuzz_${harness#fuzz_}"); fi
  for program in "${programs[@]}"; do
    [[ -x $program ]] || die "there is no harness $program"
    fuzz_one "$program" "$seconds" || failed=$((failed + 1))
  done
  if ((failed > 0)); then die "$failed of ${#programs[@]} harnesses found something"; fi
}
