# Language level, warnings as errors, sanitizers, compiler cache. Included once by the top level.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)  # programs share the libraries' precompiled header
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(TESSERA_CCACHE ccache)
if(TESSERA_CCACHE)
  # The sloppiness lets ccache work beside precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${TESSERA_CCACHE})
endif()

# Linked by every target of ours, never by generated code.
add_library(tessera_options INTERFACE)
target_include_directories(tessera_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(tessera_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
  -Wno-missing-field-initializers -Werror)  # designated initialisers leave the rest to its default
target_compile_definitions(tessera_options INTERFACE TESSERA_VERSION="${PROJECT_VERSION}")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(tessera_options INTERFACE -Wthread-safety
    "SHELL:-Xclang -fno-pch-timestamp")  # ccache wants it beside a precompiled header
else()
  # ccache wants the first beside a precompiled header; GCC 12's -Wrestrict misfires on std::string (GCC PR 105651).
  target_compile_options(tessera_options INTERFACE -fpch-preprocess -Wno-restrict)
endif()
if(TESSERA_SANITIZE)
  add_compile_options(  # nvcc knows none of them
    "$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${TESSERA_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all;-g1>")
  add_link_options(-fsanitize=${TESSERA_SANITIZE})
endif()

# tessera_library(NAME SOURCES... LINK TARGETS...): one library per folder.
function(tessera_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE tessera_options)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()

# tessera_torch_library: the same for a folder that knows tensors; shares one precompiled header (ATen costs 10 s a file).
function(tessera_torch_library name)
  tessera_library(${name} ${ARGN})
  tessera_use_torch(${name})
endfunction()

function(tessera_use_torch target)
  target_link_libraries(${target} PUBLIC tessera_torch PRIVATE tessera_options)
  target_precompile_headers(${target} REUSE_FROM tessera_torch_pch)
endfunction()

# tessera_test(NAME LABEL label SOURCES... LINK targets...): a GoogleTest program whose every case is a ctest case.
# Tests may read tests/reference through TESSERA_REFERENCE_DIR.
include(GoogleTest)
function(tessera_test name)
  cmake_parse_arguments(ARG "TORCH" "LABEL;TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(TESSERA_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 10")
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest GTest::gmock GTest::gtest_main tessera_options)
  target_compile_definitions(${name} PRIVATE
    TESSERA_REFERENCE_DIR="${PROJECT_SOURCE_DIR}/tests/reference" TESSERA_BINARY_DIR="${PROJECT_BINARY_DIR}")
  if(ARG_TORCH)
    tessera_use_torch(${name})
  endif()
  # ThreadSanitizer: Debian's gRPC, Protobuf and Abseil are not instrumented, so what they touch is no evidence.
  gtest_discover_tests(${name} NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT}
               ENVIRONMENT "TSAN_OPTIONS=ignore_noninstrumented_modules=1")
endfunction()
