# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What users install: packaging/README.md.

# make_packages PRESET DIR: of what is built already; packages go into DIR.
make_packages() {
  local preset=$1 out=$2
  build "$preset" package_texts || return 1
  local generator
  for generator in DEB TGZ; do
    (cd "build/$preset" && cpack -G "$generator" -B "$out") || return 1
  done
  rm -rf "$out/_CPack_Packages"
}

verb_package() {
  say "building, then making a Debian package and a tarball in build/packages"
  need build package
  build release lariat lariatd
  quietly "$LOGS/package.log" make_packages release "$PWD/build/packages" ||
    die "no packages: see $LOGS/package.log"
  ls -l build/packages
}
