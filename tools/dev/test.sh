# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# ./dev test: everything a change must pass. A failed step does not stop the ones after it; the
# last line adds up all of them.

# The budget of what is long by nature. The usual run keeps below 30 minutes on two cores with
# nothing built; --long takes hours.
LONG_SEEDS=1..300      # of every scenario of the simulator
LONG_FUZZ_SECONDS=120  # of each harness
SLOWEST_SHOWN=10       # tests, of each build

PASSED=0
FAILED=0
SKIPPED=0
SUMMARY=()
TIMES=()

# step NAME COMMAND...: runs one thing that counts as one test.
step() {
  local name=$1 start=$SECONDS
  shift
  if quietly "$LOGS/${name// /-}.log" "$@"; then
    PASSED=$((PASSED + 1))
    took ok "$name" "$start"
  else
    FAILED=$((FAILED + 1))
    SUMMARY+=("$name: see $LOGS/${name// /-}.log")
    took FAILED "$name" "$start"
    return 1
  fi
}

# took HOW NAME START: says it now, and keeps the time for the end.
took() {
  local seconds=$((SECONDS - $3))
  TIMES+=("$(printf '%5d s  %s' "$seconds" "$2")")
  say "$(printf '%-7s' "$1") $2 ($seconds s)"
}

# ctest_step PRESET [ctest arguments...]: every test of that build counts one.
ctest_step() {
  local preset=$1 start=$SECONDS log=$LOGS/ctest-$1.log report=$PWD/$LOGS/ctest-$1.xml
  local ran failed skipped status=0
  shift
  rm -f "$report"
  ctest --test-dir "build/$preset" --parallel "$(nproc)" --output-on-failure --no-tests=error \
    --output-junit "$report" "$@" >"$log" 2>&1 </dev/null || status=$?
  ran=$(report_number "$report" tests)
  failed=$(report_number "$report" failures)
  if ((ran == 0 || (status != 0 && failed == 0))); then
    ran=$((ran + 1)) failed=1
    SUMMARY+=("ctest of $preset: see $log")
    tail -n 20 "$log" >&2
  fi
  skipped=$(report_number "$report" skipped)
  PASSED=$((PASSED + ran - failed - skipped))
  FAILED=$((FAILED + failed))
  SKIPPED=$((SKIPPED + skipped))
  if ((failed > 0)); then
    mapfile -t -O "${#SUMMARY[@]}" SUMMARY < <(failed_tests "$report" "$preset")
    show_failures "$log"
  fi
  took tests "$preset: $ran ran, $failed failed" "$start"
  mapfile -t -O "${#TIMES[@]}" TIMES < <(slowest_tests "$report" "$preset")
}

slowest_tests() {
  sed -n 's/.*<testcase name="\([^"]*\)".* time="\([0-9.]*\)".*/\2 \1/p' "$1" 2>/dev/null |
    sort -rn | head -n "$SLOWEST_SHOWN" | sed "s/^\([0-9]*\)[.0-9]* /        \1 s  $2: /"
}

# report_number REPORT ATTRIBUTE: one number of the <testsuite> element, 0 without a report.
report_number() {
  local number
  number=$(sed -n "s/.*[[:space:]]$2=\"\([0-9]*\)\".*/\1/p; /<testcase/q" "$1" 2>/dev/null |
    head -n 1)
  echo "${number:-0}"
}

failed_tests() {
  sed -n "s/.*<testcase name=\"\([^\"]*\)\".*status=\"fail\".*/$2: \1/p" "$1"
}

# The output of failed tests stands in the log between ctest's own lines.
show_failures() {
  grep -E -A 30 '\*\*\*(Failed|Timeout|Exception)|Subprocess aborted' "$1" | head -n 120 >&2 || true
}

build_step() {
  step "build $1" build "$@" || return 1
}

verb_test() {
  local long=""
  case ${1:-} in
    "") ;;
    --long) long=1 ;;
    -*)
      say "test takes --long, a pattern or nothing, not '$1'"
      exit 2
      ;;
    *)
      test_matching "$1"
      return
      ;;
  esac
  say "running every check and test; logs go to $LOGS"
  need build check package
  mkdir -p "$LOGS"
  local check
  for check in "${LINT_CHECKS[@]}"; do
    step "lint $check" "lint_$check" || true
  done
  if build_step release; then
    ctest_step release
  fi
  step "lint tidy" lint_tidy || true
  if build_step asan-core; then
    # What is slow already runs in the release build.
    if [[ $long ]]; then ctest_step asan-core; else ctest_step asan-core --label-exclude slow; fi
  fi
  if [[ $long ]]; then long_steps; fi
  print_result
}

# The tests of the release build whose name matches, such as ring, http.Put or e2e.kv.
test_matching() {
  say "building, then running the tests that match '$1'"
  need build check package
  build release || die "the build failed"
  ctest --test-dir build/release --parallel "$(nproc)" --output-on-failure --no-tests=error \
    --tests-regex "$1"
}

long_steps() {
  step "sim, seeds $LONG_SEEDS" build/release/bin/lariat-sim --scenario all \
    --seeds "$LONG_SEEDS" --jobs "$(nproc)" || true
  LARIAT_SCHEDULES=10 step "schedules of each type" build/release/bin/causal_test \
    --gtest_filter='*TypeSchedules*' || true
  need fuzz
  step "fuzz, $LONG_FUZZ_SECONDS s each" verb_fuzz all "$LONG_FUZZ_SECONDS" || true
}

print_result() {
  local line
  say "times of the steps, and the slowest tests:"
  for line in "${TIMES[@]}"; do say "$line"; done
  for line in "${SUMMARY[@]}"; do say "failed: $line"; done
  say "took $((SECONDS / 60)) min $((SECONDS % 60)) s"
  local skipped=""
  if ((SKIPPED > 0)); then skipped=", $SKIPPED skipped"; fi
  echo "$PASSED passed, $FAILED failed$skipped"
  ((FAILED == 0))
}
