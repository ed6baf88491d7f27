# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian packages: installed only when missing, and never without saying so.

packages_of() {
  local sets=" $* "
  while read -r set package; do
    if [[ $set != "#"* && $sets == *" $set "* ]]; then echo "$package"; fi
  done <tools/packages.txt
}

packages_missing() {
  local package status
  for package in $(packages_of "$@"); do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    if [[ $status != installed ]]; then echo "$package"; fi
  done
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root to install packages, and there is no sudo; run as root: $*"
  fi
}

# need SET...: makes sure the packages of these sets are there.
need() {
  local missing
  command -v dpkg-query >/dev/null || die "this is no Debian: install what tools/packages.txt" \
    "lists, then run cmake --preset release && cmake --build build/release"
  mapfile -t missing < <(packages_missing "$@")
  if ((${#missing[@]} == 0)); then return; fi
  say "installing Debian packages: ${missing[*]}"
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0)
  quietly "$LOGS/packages.log" as_root "${install[@]}" update || die "apt-get update failed"
  without_services quietly "$LOGS/packages.log" \
    as_root "${install[@]}" install --no-install-recommends "${missing[@]}" ||
    die "some packages could not be installed; Lariat is built on Debian 12"
}

# Runs a command while packages may not start services (redis-server would): policy-rc.d is how
# Debian asks. One that is there already stays as it is.
without_services() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [[ -e $policy ]]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
  as_root chmod 755 $policy
  "$@" || status=$?
  as_root rm -f $policy
  return $status
}
