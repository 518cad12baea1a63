# The library, and the shared objects of the GPU backends beside it.

# libnsameta.so from the object libraries of core, dispatch and the CPU backend; exports nsameta_* alone.
function(nsameta_add_library)
  add_library(nsameta SHARED $<TARGET_OBJECTS:nsameta_core> $<TARGET_OBJECTS:nsameta_dispatch>
    $<TARGET_OBJECTS:nsameta_cpu>)
  set(exports ${PROJECT_SOURCE_DIR}/core/exports.map)
  set_target_properties(nsameta PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
    LINK_DEPENDS ${exports})
  target_link_libraries(nsameta PRIVATE nsameta_flags TBB::tbb ${CMAKE_DL_LIBS})
  target_include_directories(nsameta INTERFACE ${PROJECT_SOURCE_DIR}/core/include)
  target_link_options(nsameta PRIVATE LINKER:--version-script=${exports})
endfunction()

# nsameta_add_backend(<name>): adds backends/<name> as NSAMETA_<NAME> = AUTO, ON or OFF says. cmake/<name>.cmake sets
# <name>_missing to what the machine lacks, or to nothing.
function(nsameta_add_backend name)
  string(TOUPPER ${name} upper)
  set(wanted ${NSAMETA_${upper}})
  if(NOT wanted MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "NSAMETA_${upper}=${wanted} must be AUTO, ON or OFF")
  endif()
  if(wanted STREQUAL "OFF")
    set_property(GLOBAL APPEND PROPERTY nsameta_summary "${name}: not built (NSAMETA_${upper}=OFF)")
    return()
  endif()
  include(${name})
  if(${name}_missing)
    if(wanted STREQUAL "ON")
      message(FATAL_ERROR "NSAMETA_${upper}=ON, but ${${name}_missing}")
    endif()
    set_property(GLOBAL APPEND PROPERTY nsameta_summary "${name}: not built (${${name}_missing})")
    return()
  endif()
  add_subdirectory(backends/${name})
  set_property(GLOBAL APPEND PROPERTY nsameta_summary "${name}: ${${name}_found}")
endfunction()

function(nsameta_print_summary)
  message(STATUS "nsameta ${PROJECT_VERSION}, ${CMAKE_BUILD_TYPE}")
  message(STATUS "  cpu: oneTBB ${TBB_VERSION}")
  get_property(lines GLOBAL PROPERTY nsameta_summary)
  foreach(line IN LISTS lines)
    message(STATUS "  ${line}")
  endforeach()
endfunction()
