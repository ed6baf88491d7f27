# SPDX-License-Identifier: Apache-2.0
# lariat_library(NAME SOURCES ... DEPS ... [SYSTEM ...])
#   One static library for one source folder. DEPS are exactly the project libraries that the
#   folder may include (tools/layers.txt holds the same table and tools/check_layers compares).
#   SYSTEM are outside libraries. Every *_test.cc of the folder goes into one test program.
function(lariat_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;SYSTEM;TEST_DEPS" ${ARGN})
  set(target lariat_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ARG_DEPS PREPEND lariat_)
  target_link_libraries(${target} PUBLIC ${ARG_DEPS} ${ARG_SYSTEM})
  lariat_use_pch(${target})
  lariat_in_groups(${target})
  # Linked alone against exactly its declared dependencies: an undeclared one fails here.
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/link_alone.cc "int main() { return 0; }\n")
  add_executable(link_alone_${name} ${CMAKE_CURRENT_BINARY_DIR}/link_alone.cc)
  target_link_libraries(link_alone_${name} PRIVATE
    -Wl,--whole-archive $<TARGET_FILE:${target}> -Wl,--no-whole-archive ${ARG_DEPS} ${ARG_SYSTEM})
  add_dependencies(link_alone_${name} ${target})
  set_target_properties(link_alone_${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/link_alone)
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(tests)
    list(TRANSFORM ARG_TEST_DEPS PREPEND lariat_)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE ${target} ${ARG_TEST_DEPS}
      ${LARIAT_RAPIDCHECK_LIB} GTest::gtest GTest::gmock GTest::gtest_main)
    lariat_use_pch(${name}_test)
    lariat_discover_tests(${name}_test ${name}.)
  endif()
endfunction()

# One ctest entry for each test of a gtest program. A test whose name has "Slow" in it gets the
# label `slow`, which the sanitizer run of ./dev test leaves out; all others get `unit`.
function(lariat_discover_tests target prefix)
  gtest_discover_tests(${target} TEST_PREFIX ${prefix} DISCOVERY_TIMEOUT 60 TEST_FILTER "-*Slow*"
    PROPERTIES LABELS unit TIMEOUT 600)
  gtest_discover_tests(${target} TEST_PREFIX ${prefix} DISCOVERY_TIMEOUT 60 TEST_FILTER "*Slow*"
    TEST_LIST ${target}_SLOW PROPERTIES LABELS slow TIMEOUT 900)
endfunction()

# Compiles the target's sources eight at a time, as one: most of a source's time goes into headers,
# so this halves a build from nothing. Names of unnamed namespaces have to differ within a target.
function(lariat_in_groups target)
  if(NOT LARIAT_GROUPS)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # An unnamed namespace of a source that is included looks like one of a header.
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()

# One precompiled header of the standard library, shared by all targets.
function(lariat_use_pch target)
  if(NOT TARGET lariat_pch)
    file(WRITE ${CMAKE_BINARY_DIR}/pch.cc "")
    add_library(lariat_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cc)
    target_precompile_headers(lariat_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(lariat_pch PUBLIC -fpch-preprocess)
    endif()
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
  target_precompile_headers(${target} REUSE_FROM lariat_pch)
endfunction()

# lariat_program(NAME SOURCES ... DEPS ...): an executable of apps/ or sim/, in bin/.
function(lariat_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;SYSTEM" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPS PREPEND lariat_)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} ${ARG_SYSTEM})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/src)
  if(LARIAT_ALLOCATOR STREQUAL "jemalloc" AND LARIAT_JEMALLOC_LIB AND NOT LARIAT_SANITIZE)
    target_link_libraries(${name} PRIVATE ${LARIAT_JEMALLOC_LIB})
  endif()
  lariat_use_pch(${name})
endfunction()
