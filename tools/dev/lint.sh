# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Checks that need no build of the programs, and the verb that mends what can be mended.

# Folders whose files are cheap to analyse and dear to get wrong; ./dev test looks at these.
TIDY_ALWAYS=(src/base src/causal src/ring)

cxx_sources() { git ls-files --cached --others --exclude-standard -- '*.cc' '*.h'; }

lint_layers() { tools/check_layers; }
lint_style() { tools/check_style; }
lint_guarantees() { tools/check_guarantees; }
lint_tools() { python3 tools/tests/check_test.py; }

lint_format() {
  local wrong
  wrong=$(cxx_sources | xargs -r clang-format-14 --dry-run --ferror-limit=1 2>&1 |
    sed -n 's/^\([^: ]*\):\([0-9]*\):.*code should be clang-formatted.*/\1:\2: is not formatted/p')
  if [[ -n $wrong ]]; then
    echo "$wrong"
    echo "./dev fix formats them"
    return 1
  fi
}

lint_scripts() {
  local scripts=(dev .ci/run tools/dev/*.sh)
  if [[ -e bench/run ]] && head -n 1 bench/run | grep -q bash; then scripts+=(bench/run); fi
  shellcheck "${scripts[@]}"
}

# lint_tidy [file...]: the files given, or the cheap folders. The compilation database is the
# release build's without its precompiled header, which only g++ can read.
lint_tidy() {
  local files=("$@")
  if (($# == 0)); then
    mapfile -t files < <(git ls-files -- "${TIDY_ALWAYS[@]/%//*.cc}" | grep -v _test.cc)
  fi
  [[ -e build/release/build.ninja ]] || cmake --preset release >/dev/null || return 1
  python3 tools/dev/tidy_database.py build/release build/tidy "${files[@]}" >build/tidy-files ||
    return 1
  xargs -r -P "$(jobs_max)" -n 2 clang-tidy-14 -p build/tidy --quiet <build/tidy-files
}

LINT_CHECKS=(layers style guarantees tools format scripts)

# Each check counts one; all run, whatever fails.
verb_lint() {
  say "checking layers, style, guarantees, formatting and scripts"
  need build check
  local check failed=0
  for check in "${LINT_CHECKS[@]}"; do
    quietly "$LOGS/lint-$check.log" "lint_$check" || failed=$((failed + 1))
  done
  if [[ ${1:-} == --tidy ]]; then
    say "running clang-tidy on every source; this takes a while"
    build release || die "clang-tidy needs the generated headers, and the build failed"
    mapfile -t all < <(cxx_sources | grep '\.cc$')
    quietly "$LOGS/lint-tidy.log" lint_tidy "${all[@]}" || failed=$((failed + 1))
  fi
  if ((failed > 0)); then die "$failed checks failed; see above"; fi
  say "all checks passed"
}

# Tests that compare a page or file of docs/ with what the program makes of its tables.
PAGE_TESTS=(config_test telemetry_test frontend_http_test frontend_resp_test)

refresh_pages() {
  local test
  build release "${PAGE_TESTS[@]}" || return 1
  for test in "${PAGE_TESTS[@]}"; do
    LARIAT_UPDATE_DOCS=1 "build/release/bin/$test" --gtest_brief=1 || return 1
  done
}

verb_fix() {
  say "formatting the sources, refreshing what is generated, tightening the style ratchet"
  need build check
  cxx_sources | xargs -r clang-format-14 -i
  tools/check_layers --write-table
  tools/check_guarantees --write-page
  tools/check_style --tighten
  packaging/monitoring/dashboards
  # Where nothing was built yet it would take minutes; `./dev build` first.
  if [[ -d build/release ]]; then
    quietly "$LOGS/pages.log" refresh_pages || die "no generated pages: see $LOGS/pages.log"
  fi
}
