# SPDX-License-Identifier: Apache-2.0
# Language level, warnings, sanitizers, linker and compiler cache: one place for all targets.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

set(LARIAT_SANITIZE "" CACHE STRING "Value for -fsanitize=, for example address,undefined")
option(LARIAT_FUZZ "Build the libFuzzer harnesses (needs clang)" OFF)
option(LARIAT_CORE_ONLY "Build the sans-I/O core and the simulator only" OFF)
option(LARIAT_GROUPS "Compile the sources of a library in groups; OFF for tools that want each" ON)
set(LARIAT_ALLOCATOR "jemalloc" CACHE STRING "Allocator of the programs: jemalloc or system")

add_compile_options(-Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor
                    -Woverloaded-virtual -Wno-missing-field-initializers -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 sees overlaps and overruns in the library's own string code at -O2 (GCC bugs 105329 and
  # 105651); clang and the sanitizers look for the real ones.
  add_compile_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow
                      -Wno-stringop-overread -Wno-maybe-uninitialized)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-msse4.2)
endif()
if(LARIAT_SANITIZE)
  add_compile_options(-fsanitize=${LARIAT_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LARIAT_SANITIZE})
endif()
if(LARIAT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(LARIAT_MOLD mold)
find_program(LARIAT_LLD ld.lld)
if(LARIAT_MOLD)
  add_link_options(-fuse-ld=mold)
elseif(LARIAT_LLD)
  add_link_options(-fuse-ld=lld)
endif()

find_program(LARIAT_CCACHE ccache)
if(LARIAT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Sloppiness is what ccache's manual asks for with precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${LARIAT_CCACHE})
endif()
