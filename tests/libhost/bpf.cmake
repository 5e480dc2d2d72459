# SPDX-License-Identifier: Apache-2.0
# The tests of the eBPF switch: in namespaces of their own, so that nothing of them can stay behind.
find_package(PkgConfig REQUIRED)
pkg_check_modules(BPF REQUIRED IMPORTED_TARGET GLOBAL libbpf)

add_library(bpf_fixture STATIC bpf_fixture.cpp)
target_link_libraries(bpf_fixture PUBLIC splitnve_bpf splitnve_base PkgConfig::BPF GTest::gtest)

# They also look behind the public headers: what is judged of a link, how pins are carried.
function(splitnve_isolated_test name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src/libhost)
  target_link_libraries(${name} PRIVATE bpf_fixture GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/netns/isolate.sh $<TARGET_FILE:${name}>)
  set_tests_properties(${name} PROPERTIES LABELS netns TIMEOUT 300)
endfunction()

splitnve_isolated_test(bpf_switch_programs_test bpf_switch_programs_test.cpp)
splitnve_isolated_test(bpf_ip_guard_test bpf_ip_guard_test.cpp)
splitnve_isolated_test(bpf_ip_wires_test bpf_ip_wires_test.cpp)
splitnve_isolated_test(bpf_switch_test bpf_switch_test.cpp)
splitnve_isolated_test(bpf_switch_restart_test bpf_switch_restart_test.cpp)
splitnve_isolated_test(bpf_hygiene_test bpf_hygiene_test.cpp)
splitnve_isolated_test(bpf_host_traffic_test bpf_host_traffic_test.cpp)
splitnve_isolated_test(bpf_closed_test bpf_closed_test.cpp)
splitnve_isolated_test(bpf_checksum_test bpf_checksum_test.cpp)
splitnve_isolated_test(bpf_migrate_test bpf_migrate_test.cpp)
splitnve_isolated_test(bpf_offload_test bpf_offload_test.cpp)

add_executable(bpf_switch_bench bpf_switch_bench.cpp)
target_link_libraries(bpf_switch_bench PRIVATE bpf_fixture GTest::gtest_main)
