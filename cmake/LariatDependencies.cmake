# SPDX-License-Identifier: Apache-2.0
# Everything comes from Debian 12 packages (tools/packages.txt). Boost is pinned: the
# distribution's default is 1.74.
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
include(GoogleTest)

set(Boost_NO_BOOST_CMAKE ON)
set(Boost_NO_WARN_NEW_VERSIONS ON)
find_package(Boost 1.81 EXACT REQUIRED COMPONENTS json url)

find_library(LARIAT_ROCKSDB_LIB rocksdb REQUIRED)
find_library(LARIAT_XXHASH_LIB xxhash REQUIRED)
find_library(LARIAT_ISAL_LIB isal REQUIRED)
find_library(LARIAT_ARGON2_LIB argon2 REQUIRED)
find_library(LARIAT_RAPIDCHECK_LIB rapidcheck REQUIRED)
find_library(LARIAT_JEMALLOC_LIB jemalloc)
