# Our own CUDA kernels, where nvcc is there. The result is TESSERA_WITH_CUDA; without it ATen does their work on a GPU
# as well. Nothing else depends on the toolkit: the programs start and run on machines without a GPU.
#   tessera_cudart  the CUDA runtime, as the shared library that libtorch_cpu loads too
set(TESSERA_WITH_CUDA OFF)
set(TESSERA_CUDA_ARCHITECTURES "90" CACHE STRING "As CMAKE_CUDA_ARCHITECTURES; 90 is Hopper's code and PTX for later GPUs")

if(NOT TESSERA_CUDA STREQUAL "OFF")
  set(CMAKE_CUDA_ARCHITECTURES "${TESSERA_CUDA_ARCHITECTURES}")
  find_program(CMAKE_CUDA_COMPILER NAMES $ENV{CUDACXX} nvcc HINTS $ENV{CUDA_HOME}/bin PATHS /usr/local/cuda/bin)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    add_library(CUDA::nvToolsExt INTERFACE IMPORTED)  # CMake 3.25 insists on it; CUDA 13 has it no more
    find_package(CUDAToolkit REQUIRED)
    set(TESSERA_WITH_CUDA ON)
  elseif(NOT TESSERA_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "TESSERA_CUDA=${TESSERA_CUDA}, but there is no nvcc: put it on the path, or set CUDACXX")
  endif()
endif()
message(STATUS "Tessera: CUDA kernels: ${TESSERA_WITH_CUDA}")

if(TESSERA_WITH_CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_RUNTIME_LIBRARY None)  # tessera_cudart instead: one copy in the process, shared with LibTorch
  if(TESSERA_CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${TESSERA_CCACHE})
  endif()
  set(cudart_of_torch "${TESSERA_TORCH_DIR}/../nvidia/cu13/lib/libcudart.so.13")
  if(NOT EXISTS "${cudart_of_torch}")
    set(cudart_of_torch "${CUDA_CUDART}")
  endif()
  add_library(tessera_cudart SHARED IMPORTED)
  set_target_properties(tessera_cudart PROPERTIES IMPORTED_LOCATION "${cudart_of_torch}")
endif()
