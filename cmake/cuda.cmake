# Sets cuda_missing, or enables the language and sets cuda_found.
include(CheckLanguage)
set(cuda_missing)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  set(cuda_missing "no CUDA compiler: put nvcc in PATH or set CMAKE_CUDA_COMPILER")
  return()
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100-real 120 CACHE STRING "CUDA architectures")  # PTX of the newest
endif()
enable_language(CUDA)
list(JOIN CMAKE_CUDA_ARCHITECTURES ", " cuda_architectures)
set(cuda_found "nvcc ${CMAKE_CUDA_COMPILER_VERSION}, sm ${cuda_architectures}")
