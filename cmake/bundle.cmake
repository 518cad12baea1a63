# cmake -D BUILD_DIR=... -D BUNDLE_DIR=... -P bundle.cmake: a folder that runs on another x86-64 Linux machine with a C++
# runtime of its own: program, benchmarks and test programs in bin, our libraries and those they need in lib, and a
# script that runs every test program. Everything finds its libraries through $ORIGIN, as in the build folder.
file(REMOVE_RECURSE ${BUNDLE_DIR})
file(COPY ${BUILD_DIR}/bin ${BUILD_DIR}/lib DESTINATION ${BUNDLE_DIR} PATTERN "*.a" EXCLUDE)

file(GLOB_RECURSE files LIST_DIRECTORIES false ${BUNDLE_DIR}/bin/* ${BUNDLE_DIR}/lib/*)
set(programs)
set(libraries)
foreach(file IN LISTS files)
  file(READ ${file} magic LIMIT 4 HEX)
  if(IS_SYMLINK ${file} OR NOT magic STREQUAL "7f454c46")
    continue()
  endif()
  if(file MATCHES "\\.so")
    list(APPEND libraries ${file})
  else()
    list(APPEND programs ${file})
  endif()
endforeach()
# Programs that were compiled with a path of the build folder, such as tests that load plugins from there, stay behind.
foreach(program IN LISTS programs)
  file(STRINGS ${program} paths REGEX "${BUILD_DIR}/" LIMIT_COUNT 1)
  if(paths)
    file(REMOVE ${program})
    list(REMOVE_ITEM programs ${program})
    cmake_path(GET program FILENAME name)
    message(STATUS "left out ${name}, which needs the build folder")
  endif()
endforeach()
if(NOT programs)
  message(FATAL_ERROR "${BUILD_DIR}/bin holds no program")
endif()
find_program(strip strip REQUIRED)
foreach(file IN LISTS programs libraries)
  execute_process(COMMAND ${strip} --strip-unneeded ${file} COMMAND_ERROR_IS_FATAL ANY)
endforeach()

# The C++ runtime and the loader are the machine's own; so are the GPU runtimes, which only the backends ask for.
file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${programs} RESOLVED_DEPENDENCIES_VAR resolved
  PRE_EXCLUDE_REGEXES "^lib(c|m|dl|rt|pthread|gcc_s|stdc\\+\\+)\\.so" "^ld-linux")
list(FILTER resolved EXCLUDE REGEX "^${BUNDLE_DIR}/")
file(COPY ${resolved} DESTINATION ${BUNDLE_DIR}/lib FOLLOW_SYMLINK_CHAIN)

# An absolute search path would find this machine's files here, and nothing there.
find_program(readelf readelf REQUIRED)
foreach(file IN LISTS programs libraries)
  execute_process(COMMAND ${readelf} -d ${file} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  if(output MATCHES "R(UN)?PATH\\)[^[]*\\[([^]]*:)?/")
    message(FATAL_ERROR "${file} has an absolute search path")
  endif()
endforeach()

file(COPY ${CMAKE_CURRENT_LIST_DIR}/run-tests DESTINATION ${BUNDLE_DIR})
