# LibTorch is the torch wheel. Its own CMake package is fatal without the CUDA toolkit, so the targets are ours:
#   tessera_torch  ATen and c10d for the CPU (libtorch_cpu, libc10); all the engine links
# The CUDA half, libtorch_cuda, is not linked: a program asked for a GPU loads it (worker/kernels/cuda/cuda_library.h).
file(GLOB torch_dirs "${TESSERA_DEPS}/venv/lib/python3*/site-packages/torch")
set(TESSERA_TORCH_DIR "" CACHE PATH "The torch package's folder (python3 -c 'import torch; print(torch.__path__[0])')")
if(NOT TESSERA_TORCH_DIR AND torch_dirs)
  list(GET torch_dirs 0 torch_default)
  set_property(CACHE TESSERA_TORCH_DIR PROPERTY VALUE "${torch_default}")
endif()
if(NOT EXISTS "${TESSERA_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch not found at '${TESSERA_TORCH_DIR}': run tools/install, or set TESSERA_TORCH_DIR")
endif()

add_library(tessera_c10 SHARED IMPORTED)
set_target_properties(tessera_c10 PROPERTIES IMPORTED_LOCATION "${TESSERA_TORCH_DIR}/lib/libc10.so")
add_library(tessera_torch SHARED IMPORTED)
set_target_properties(tessera_torch PROPERTIES IMPORTED_LOCATION "${TESSERA_TORCH_DIR}/lib/libtorch_cpu.so")
# libtorch_cpu itself needs the CUDA runtime and CUPTI wheels; the loader finds them through its own run path.
target_link_options(tessera_torch INTERFACE -Wl,--allow-shlib-undefined)
target_include_directories(tessera_torch SYSTEM INTERFACE
  "${TESSERA_TORCH_DIR}/include" "${TESSERA_TORCH_DIR}/include/torch/csrc/api/include")
target_compile_definitions(tessera_torch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
target_link_libraries(tessera_torch INTERFACE tessera_c10 Threads::Threads)
