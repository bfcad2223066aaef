# What every target of the project shares: warnings, sanitizers, and the verbs dln_layer and dln_test.

add_library(dln_warnings INTERFACE)
target_compile_options(dln_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wsign-conversion
    -Wnon-virtual-dtor -Woverloaded-virtual
    # Designated initialisers leave the rest at their defaults on purpose.
    -Wno-missing-field-initializers
    # False in g++ 12 at -O2 and above for std::string and std::variant (GCC bugs 105329, 105562).
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
    $<$<BOOL:${DLN_WERROR}>:-Werror>)

if(DLN_SANITIZE)
    add_compile_options(-fsanitize=${DLN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${DLN_SANITIZE})
endif()

# dln_layer(NAME SOURCES a.cpp ... [LINK dln_x lib ...] [PRIVATE_LINK lib ...])
# One static library dln_NAME for src/NAME. LINK is what its public headers need, PRIVATE_LINK what
# only its sources need: MPI, HDF5, curl and llama.cpp are always private, which keeps them in one folder.
function(dln_layer name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
    add_library(dln_${name} STATIC ${ARG_SOURCES})
    target_include_directories(dln_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
        PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(dln_${name} PUBLIC ${ARG_LINK} PRIVATE dln_warnings ${ARG_PRIVATE_LINK})
endfunction()

# dln_test(NAME SOURCES a_test.cpp ... LINK dln_x ... [LABELS unit] [TIMEOUT 60])
# A GoogleTest program without MPI; each TEST becomes a CTest case.
function(dln_test name)
    cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 60)
    endif()
    if(NOT ARG_LABELS)
        set(ARG_LABELS unit)
    endif()
    add_executable(${name} ${ARG_SOURCES})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${name} PRIVATE ${ARG_LINK} dln_warnings GTest::gmock GTest::gtest_main)
    # Compiling GoogleTest's templates takes longer than running them.
    target_compile_options(${name} PRIVATE $<$<CONFIG:Debug>:-O0>)
    if(NOT TARGET unit_tests)
        add_custom_target(unit_tests)
    endif()
    if("unit" IN_LIST ARG_LABELS)
        add_dependencies(unit_tests ${name})
    endif()
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
        PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# dln_model_test(NAME SOURCES a_test.cpp ... LINK dln_x ...)
# A GoogleTest program on a real model, which takes a second to load: one CTest case for all its tests (label e2e),
# alone on the machine, skipped without the model. Call it if DLN_HAVE_EMBEDDED.
function(dln_model_test name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/embedded_main.cpp)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${name} PRIVATE ${ARG_LINK} dln_llm dln_warnings GTest::gmock GTest::gtest)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS e2e TIMEOUT 300 RUN_SERIAL TRUE SKIP_RETURN_CODE 77)
endfunction()
