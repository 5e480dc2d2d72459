# SPDX-License-Identifier: Apache-2.0
# How everything here is compiled, and the two functions by which libraries and tests are declared.
option(SPLITNVE_TESTS "build the tests" ON)
option(SPLITNVE_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(SPLITNVE_FUZZ "build the libFuzzer targets (needs clang)" OFF)
option(SPLITNVE_WERROR "warnings are errors" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(splitnve_options INTERFACE)
target_include_directories(splitnve_options INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_compile_options(splitnve_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch-enum
  $<$<BOOL:${SPLITNVE_WERROR}>:-Werror>)
if(SPLITNVE_SANITIZE)
  # null, alignment, vptr and object-size triple the compile time of a gtest source and find little that ASan does not.
  add_compile_options(-g1 -fsanitize=address,undefined -fno-sanitize=null,alignment,vptr,object-size
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()

# splitnve_library(NAME source...): a static library with our warnings.
function(splitnve_library name)
  add_library(${name} STATIC ${ARGN})
  target_link_libraries(${name} PUBLIC splitnve_options)
endfunction()

# splitnve_test(NAME LABEL source...): a GoogleTest executable, run by ctest under its label. Link more with
# target_link_libraries(NAME PRIVATE ...). TEST_DATA names tests/data.
function(splitnve_test name label)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE splitnve_options GTest::gtest_main GTest::gmock)
  target_compile_definitions(${name} PRIVATE TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 300)
endfunction()
