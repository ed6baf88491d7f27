# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Building, and the verbs that run what was built.

# build PRESET [ninja target...]: on a terminal ninja shows its progress, elsewhere only failures.
build() {
  local preset=$1
  shift
  quietly "$LOGS/configure-$preset.log" cmake --preset "$preset" || return 1
  local ninja=(ninja -C "build/$preset" -j "$(jobs_max)")
  if [[ -t 1 ]]; then "${ninja[@]}" "$@"; else "${ninja[@]}" --quiet "$@"; fi
}

verb_build() {
  local preset=${1:-release}
  say "building preset $preset; programs will be in build/$preset/bin"
  need build
  if [[ $preset == fuzz ]]; then need fuzz; fi
  build "$preset"
}

verb_up() {
  say "building, then running three nodes here until Ctrl-C"
  need build
  build release lariat lariatd
  exec build/release/bin/lariat up --nodes 3 "$@"
}

verb_demo() {
  say "building, then running the demonstration"
  need build check
  build release lariat lariatd
  export LARIAT_BIN=$PWD/build/release/bin
  if [[ -e tests/demo.py ]]; then exec python3 tests/demo.py "$@"; fi
  exec bash tests/demo.sh "$@"
}

verb_sim() {
  say "building, then simulating"
  need build
  build release lariat-sim
  exec build/release/bin/lariat-sim "$@"
}

verb_scale() {
  say "building, then simulating clusters of up to 10,000 nodes (15 minutes of CPU, 10 GB)"
  need build
  build release lariat-scale
  exec nice -n 19 build/release/bin/lariat-scale --out docs "$@"
}

verb_bench() {
  say "building, then measuring"
  need build check bench
  build release lariat lariatd lariat-load lariat-engine-bench
  exec bench/run "$@"
}

verb_clean() {
  say "removing build/"
  rm -rf build
}
