# NSAMETA_OPS: the operations of core/ops.def. A backend without a file for one of them does not configure.
set(ops_def ${PROJECT_SOURCE_DIR}/core/ops.def)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ops_def})
file(STRINGS ${ops_def} NSAMETA_OPS REGEX "^NSAMETA_OP\\(")
list(TRANSFORM NSAMETA_OPS REPLACE "^NSAMETA_OP\\(([a-z0-9_]+)\\).*" "\\1")

# out: <folder>/<op>.<extension> of every operation.
function(nsameta_op_files out folder extension)
  set(files)
  foreach(op IN LISTS NSAMETA_OPS)
    set(file ${folder}/${op}.${extension})
    if(NOT EXISTS ${file})
      message(FATAL_ERROR "core/ops.def lists '${op}', but ${file} does not exist")
    endif()
    list(APPEND files ${file})
  endforeach()
  set(${out} ${files} PARENT_SCOPE)
endfunction()
