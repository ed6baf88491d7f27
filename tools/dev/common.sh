# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Helpers of all verbs.

export LOGS=build/test-logs
# The compiler cache serves every checkout and build directory alike, wherever they lie.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

say() { echo "dev: $*" >&2; }

die() {
  say "$@"
  exit 1
}

# How many compilers at once: one for each core, and 1.5 GiB of free memory for each.
jobs_max() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1572864) }' /proc/meminfo)
  if ((memory < 1)); then memory=1; fi
  echo "${LARIAT_JOBS:-$((cores < memory ? cores : memory))}"
}

# quietly LOG COMMAND...: output goes to the log; its end is shown when the command fails.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if "$@" >"$log" 2>&1 </dev/null; then return 0; fi
  echo "--- failed: $*" >&2
  tail -n "${QUIETLY_LINES:-40}" "$log" >&2
  echo "--- all of it: $log" >&2
  return 1
}
