# The library, and the shared objects of the GPU backends beside it.
find_package(TBB REQUIRED)
set(nsameta_exports ${PROJECT_SOURCE_DIR}/core/exports.map)

# Only nsameta_* leaves a shared object of ours; kernel handles and the like stay inside.
function(nsameta_limit_exports target)
  target_link_options(${target} PRIVATE LINKER:--version-script=${nsameta_exports})
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${nsameta_exports})
endfunction()

# libnsameta.so from the object libraries of core, dispatch and the CPU backend.
function(nsameta_add_library)
  add_library(nsameta SHARED $<TARGET_OBJECTS:nsameta_core> $<TARGET_OBJECTS:nsameta_dispatch>
    $<TARGET_OBJECTS:nsameta_cpu>)
  add_library(nsameta::nsameta ALIAS nsameta)
  # $ORIGIN: the folder can be moved together with the oneTBB that it was given. What is installed is built with its
  # final path, as CMake would pad another one with an empty entry, which means the current directory.
  set_target_properties(nsameta PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
    INSTALL_RPATH $ORIGIN BUILD_WITH_INSTALL_RPATH ON)
  target_link_libraries(nsameta PRIVATE nsameta_flags TBB::tbb ${CMAKE_DL_LIBS})
  target_include_directories(nsameta INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/core/include>)
  nsameta_limit_exports(nsameta)
endfunction()

# nsameta_add_backend(<name>): adds backends/<name> as NSAMETA_<NAME> = AUTO, ON or OFF says. cmake/<name>.cmake sets
# <name>_missing to what the machine lacks, or to nothing. A macro, as languages are enabled in file scope.
macro(nsameta_add_backend name)
  string(TOUPPER ${name} upper)
  set(wanted ${NSAMETA_${upper}})
  if(NOT wanted MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "NSAMETA_${upper}=${wanted} must be AUTO, ON or OFF")
  endif()
  if(wanted STREQUAL "OFF")
    set(summary "not built (NSAMETA_${upper}=OFF)")
  else()
    include(${name})
    string(REPLACE ";" "," missing "${${name}_missing}")  # a sentence, not a list
    if(NOT missing)
      add_subdirectory(backends/${name})
      set(summary "${${name}_found}")
    elseif(wanted STREQUAL "ON")
      message(FATAL_ERROR "NSAMETA_${upper}=ON, but ${missing}")
    else()
      set(summary "not built (${missing})")
    endif()
  endif()
  set_property(GLOBAL APPEND PROPERTY nsameta_summary "${name}: ${summary}")
endmacro()

# libnsameta_<name>.so from backend.<extension>, explain.<extension> and one <op>.<extension> per operation of the current
# folder.
function(nsameta_add_backend_module name extension)
  nsameta_op_files(op_files ${CMAKE_CURRENT_SOURCE_DIR} ${extension})
  add_library(nsameta_${name} MODULE backend.${extension} explain.${extension} ${op_files})
  target_link_libraries(nsameta_${name} PRIVATE nsameta_flags)
  nsameta_limit_exports(nsameta_${name})
endfunction()

function(nsameta_print_summary)
  message(STATUS "nsameta ${PROJECT_VERSION}, ${CMAKE_BUILD_TYPE}, ${CMAKE_CXX_COMPILER_ID} "
    "${CMAKE_CXX_COMPILER_VERSION}")
  message(STATUS "  cpu: oneTBB ${TBB_VERSION}")
  get_property(lines GLOBAL PROPERTY nsameta_summary)
  foreach(line IN LISTS lines)
    message(STATUS "  ${line}")
  endforeach()
endfunction()
