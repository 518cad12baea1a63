# What every target of the project is compiled with.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# Off in someone else's build; `cmake --compile-no-warning-as-error` turns it off in ours.
set(CMAKE_COMPILE_WARNING_AS_ERROR ${PROJECT_IS_TOP_LEVEL})

# Everything lands in two folders, and finds its libraries there or beside itself when the folders are moved together.
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)

set(NSAMETA_SANITIZE "" CACHE STRING "Sanitizers for all host code, e.g. address,undefined or thread")
option(NSAMETA_LIBFUZZER "Build nsameta_libfuzzer, which needs clang and NSAMETA_SANITIZE" OFF)
if(NSAMETA_LIBFUZZER AND NOT (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND NSAMETA_SANITIZE))
  message(FATAL_ERROR "NSAMETA_LIBFUZZER=ON needs CMAKE_CXX_COMPILER=clang++ and NSAMETA_SANITIZE=address,undefined")
endif()

# Counting and optimising under sanitizers triples the time that the program's and the tests' own sources take.
option(NSAMETA_COVERAGE "Count which lines of the library and of the kernels run" OFF)
function(nsameta_count_lines target)
  if(NSAMETA_COVERAGE)
    target_compile_options(${target} PRIVATE -O1 --coverage)
  endif()
endfunction()

# Parsing GoogleTest and JSON is most of what compiling a test costs; it is shared where names do not clash.
option(NSAMETA_UNITY "Compile sources of the tests and of the program together" OFF)
# nsameta_unite(TARGET [SOURCE...]): the sources, or all of the target, as one.
function(nsameta_unite target)
  if(NOT NSAMETA_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  if(ARGN)
    list(GET ARGN 0 first)
    set_target_properties(${target} PROPERTIES UNITY_BUILD_MODE GROUP)
    set_source_files_properties(${ARGN} PROPERTIES UNITY_GROUP ${first})
  endif()
endfunction()

set(warnings -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
add_library(nsameta_flags INTERFACE)
target_include_directories(nsameta_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/core/include)
target_compile_options(nsameta_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:C,CXX,HIP>:${warnings}>"
  # nvcc's own output breaks -Wpedantic, so the host pass has the rest of the list.
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wshadow>"
  "$<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${CMAKE_COMPILE_WARNING_AS_ERROR}>>:-Xcompiler=-Werror>")
if(NSAMETA_COVERAGE)
  target_link_options(nsameta_flags INTERFACE --coverage)
endif()
if(NSAMETA_SANITIZE)
  target_compile_options(nsameta_flags INTERFACE "$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${NSAMETA_SANITIZE}>"
    "$<$<COMPILE_LANGUAGE:C,CXX>:-fno-sanitize-recover=all;-fno-omit-frame-pointer>")
  target_link_options(nsameta_flags INTERFACE -fsanitize=${NSAMETA_SANITIZE})
  if(NSAMETA_LIBFUZZER)
    target_compile_options(nsameta_flags INTERFACE "$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=fuzzer-no-link>")
    target_link_options(nsameta_flags INTERFACE -fsanitize=fuzzer-no-link)
  endif()
else()
  target_link_options(nsameta_flags INTERFACE LINKER:--no-undefined)  # clang leaves sanitizer symbols to the program
endif()
