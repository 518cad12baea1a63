// Words of CUDA for device code.
#pragma once

#define NSAMETA_DEVICE __device__ __forceinline__
#define NSAMETA_UNROLL _Pragma("unroll")
#define NSAMETA_NO_UNROLL _Pragma("unroll 1")

// Whether this pass compiles for a device with bulk copies and programmatic dependent launch.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define NSAMETA_IS_SM90 1
#else
#define NSAMETA_IS_SM90 0
#endif
