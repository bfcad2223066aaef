# dln_mpi_test(NAME SOURCES a_test.cpp ... LINK dln_x ... RANKS 1 2 4 [TIMEOUT 30])
# A GoogleTest program over ranks, run once for each rank count as the CTest case NAME_npN (label mpi).
# Its main is tests/support/mpi_main.cpp: the exit code is the maximum over ranks. `timeout` ends mpirun
# and its ranks after TIMEOUT seconds; CTest's own limit comes later and is only a net.
find_program(DLN_MPIRUN NAMES mpirun mpiexec REQUIRED)

# Root may run it (containers), and more ranks than cores is normal: without yielding, a collective then
# takes 43 ms instead of 17 us.
set(DLN_MPI_TEST_ENVIRONMENT
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none
    OMPI_MCA_rmaps_base_oversubscribe=1)

function(dln_mpi_test name)
    cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;RANKS" ${ARGN})
    if(NOT ARG_RANKS)
        message(FATAL_ERROR "dln_mpi_test(${name}): say RANKS, e.g. RANKS 1 2 4")
    endif()
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 30)
    endif()
    math(EXPR net "${ARG_TIMEOUT} + 15")
    add_executable(${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/mpi_main.cpp)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${name} PRIVATE ${ARG_LINK} dln_comm dln_warnings GTest::gmock GTest::gtest)
    if(NOT TARGET mpi_tests)
        add_custom_target(mpi_tests)
    endif()
    add_dependencies(mpi_tests ${name})
    foreach(ranks ${ARG_RANKS})
        add_test(NAME ${name}_np${ranks}
            COMMAND timeout -k 5 ${ARG_TIMEOUT}
                    ${DLN_MPIRUN} --oversubscribe -n ${ranks} $<TARGET_FILE:${name}>)
        set_tests_properties(${name}_np${ranks} PROPERTIES LABELS mpi TIMEOUT ${net}
            PROCESSORS ${ranks}
            ENVIRONMENT "${DLN_MPI_TEST_ENVIRONMENT}")
    endforeach()
endfunction()
