# HIP from Debian's own packages, for machines without ROCm. CMake's HIP language and clang both expect the folder
# layout of a ROCm installation, which Debian's files do not have. This module generates one in the build folder, from
# links, a copy of the device libraries and two small CMake packages.

set(nsameta_debian_rocm_packages libamdhip64-dev rocm-device-libs clang-19 clang-tools-19 lld-19 llvm-19)

# Device library of gfx942, which clang 19 knows and Debian's device libraries do not: that of gfx90a with the version
# constant changed (major * 1000 + minor * 100 + stepping, so 9010 for 9.0.10 and 9402 for 9.4.2).
function(nsameta_derive_gfx942 bitcode llvm)
  set(derived ${bitcode}/oclc_isa_version_942.bc)
  if(EXISTS ${derived})
    return()
  endif()
  execute_process(COMMAND ${llvm}/llvm-dis -o - ${bitcode}/oclc_isa_version_90a.bc OUTPUT_VARIABLE gfx90a
    COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "constant i32 9010," "constant i32 9402," gfx942 "${gfx90a}")
  if(gfx942 STREQUAL gfx90a)
    message(FATAL_ERROR "${bitcode}/oclc_isa_version_90a.bc does not define version 9010")
  endif()
  file(WRITE ${derived}.ll "${gfx942}")
  execute_process(COMMAND ${llvm}/llvm-as -o ${derived} ${derived}.ll COMMAND_ERROR_IS_FATAL ANY)
  file(REMOVE ${derived}.ll)
endfunction()

# out_root: the generated root; out_missing: what to install instead, if anything.
function(nsameta_debian_rocm out_root out_missing)
  set(libraries /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE})
  set(llvm /usr/lib/llvm-19/bin)
  foreach(file ${libraries}/libamdhip64.so ${libraries}/amdgcn/bitcode/ockl.bc ${llvm}/clang++
      ${llvm}/clang-offload-bundler ${llvm}/lld ${llvm}/llvm-as)
    if(NOT EXISTS ${file})
      list(JOIN nsameta_debian_rocm_packages " " packages)
      set(${out_missing} "no ROCm, and no ${file}: install ROCm, or on Debian the packages ${packages}" PARENT_SCOPE)
      return()
    endif()
  endforeach()

  set(root ${PROJECT_BINARY_DIR}/debian-rocm)
  set(${out_root} ${root} PARENT_SCOPE)
  set(package ${root}/lib/cmake/hip-lang/hip-lang-config.cmake)
  if(EXISTS ${package})  # written last
    return()
  endif()
  file(COPY ${libraries}/amdgcn/bitcode DESTINATION ${root}/amdgcn)
  nsameta_derive_gfx942(${root}/amdgcn/bitcode ${llvm})
  file(MAKE_DIRECTORY ${root}/share ${root}/llvm/bin)
  file(CREATE_LINK /usr/include ${root}/include SYMBOLIC)
  file(CREATE_LINK /usr/share/hip ${root}/share/hip SYMBOLIC)
  foreach(tool llvm-objcopy llvm-objdump llvm-readelf)
    file(CREATE_LINK ${llvm}/${tool} ${root}/llvm/bin/${tool} SYMBOLIC)
  endforeach()
  # A script, because flags in CMAKE_HIP_FLAGS_INIT are lost as soon as the user sets HIPFLAGS.
  set(clang ${root}/llvm/bin/clang++)
  file(WRITE ${clang} "#!/bin/sh\nexec ${llvm}/clang++ '--rocm-path=${root}' \"$@\"\n")
  file(CHMOD ${clang} FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
    WORLD_EXECUTE)
  file(WRITE ${package} "add_library(hip-lang::device INTERFACE IMPORTED)
target_link_libraries(hip-lang::device INTERFACE ${libraries}/libamdhip64.so)
target_link_options(hip-lang::device INTERFACE \"$<$<LINK_LANGUAGE:HIP>:--hip-link>\")
set(_CMAKE_HIP_DEVICE_RUNTIME_TARGET hip-lang::device)\n")
endfunction()
