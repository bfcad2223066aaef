# Tests of whole programs, in Python's unittest; they share tests/e2e/dln_program.py.
include(DlnMpiTest)

# The distribution's Python: h5py (python3-h5py) must be linked with the distribution's HDF5.
find_program(DLN_SYSTEM_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)

# dln_program_test(FILE CLASS [LABEL e2e] [RANKS 2] [TIMEOUT 120] [EMBEDDED] [WAITS])
# A class of test_FILE.py in the folder of the caller, as the CTest case <folder>.FILE.CLASS. RANKS is the most
# that it starts at a time.
# With EMBEDDED it needs the quick start's model, has the machine for itself, and is skipped without.
# WAITS: it waits for servers and retries most of its time, so that another test may run beside its ranks.
function(dln_program_test file class)
    cmake_parse_arguments(ARG "EMBEDDED;WAITS" "LABEL;RANKS;TIMEOUT" "" ${ARGN})
    if(ARG_EMBEDDED AND NOT DLN_HAVE_EMBEDDED)
        return()
    endif()
    foreach(default LABEL=e2e RANKS=2 TIMEOUT=120)
        string(REGEX MATCH "(.*)=(.*)" _ ${default})
        if(NOT ARG_${CMAKE_MATCH_1})
            set(ARG_${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
        endif()
    endforeach()
    set(processors ${ARG_RANKS})
    if(ARG_WAITS)
        set(processors 1)
    endif()
    get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    set(name ${folder}.${file}.${class})
    add_test(NAME ${name} COMMAND ${DLN_SYSTEM_PYTHON} -B -m unittest test_${file}.${class}
        WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
        PROCESSORS ${processors} RUN_SERIAL ${ARG_EMBEDDED}
        SKIP_REGULAR_EXPRESSION "OK .skipped="
        ENVIRONMENT
        "DLN_PROGRAM=$<TARGET_FILE:dln>;DLN_FAKE_LLM_SERVER=$<TARGET_FILE:fake_llm_server>;DLN_MPIRUN=${DLN_MPIRUN};${DLN_MPI_TEST_ENVIRONMENT}")
endfunction()
