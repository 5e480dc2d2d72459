# SPDX-License-Identifier: Apache-2.0
# The tests of the eBPF switch: in namespaces of their own, so that nothing of them can stay behind.
find_package(PkgConfig REQUIRED)
pkg_check_modules(BPF REQUIRED IMPORTED_TARGET GLOBAL libbpf)

function(splitnve_isolated_test name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE splitnve_bpf splitnve_base PkgConfig::BPF GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/netns/isolate.sh $<TARGET_FILE:${name}>)
  set_tests_properties(${name} PROPERTIES LABELS netns TIMEOUT 300)
endfunction()

splitnve_isolated_test(bpf_switch_programs_test bpf_switch_programs_test.cpp bpf_fixture.cpp)
splitnve_isolated_test(bpf_switch_test bpf_switch_test.cpp bpf_fixture.cpp)
splitnve_isolated_test(bpf_switch_restart_test bpf_switch_restart_test.cpp bpf_fixture.cpp)
