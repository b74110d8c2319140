# What an image holds: cmake --install build/release --component NAME --prefix DIR
#   server  tessera-server, and tessera for its health check
#   worker  tessera-worker and what it loads of LibTorch: the CPU half
#   cuda    LibTorch's CUDA half with the libraries it loads, where tools/install --cuda has fetched them
# The folders under lib/tessera lie to each other as in the wheels, whose libraries find one another by that.
if(TESSERA_SERVICE)
  install(TARGETS tessera-server tessera RUNTIME COMPONENT server)
endif()
if(NOT TESSERA_SERVICE OR NOT TESSERA_ENGINE)
  return()
endif()

set(torch_libraries lib/tessera/torch/lib)
set(nvidia_libraries lib/tessera/nvidia)
set_target_properties(tessera-worker PROPERTIES
  INSTALL_RPATH "$ORIGIN/../${torch_libraries};$ORIGIN/../${nvidia_libraries}/cu13/lib")
install(TARGETS tessera-worker RUNTIME COMPONENT worker)

file(GLOB cpu_torch "${TESSERA_TORCH_DIR}/lib/lib*gomp*.so*")
install(FILES "${TESSERA_TORCH_DIR}/lib/libtorch_cpu.so" "${TESSERA_TORCH_DIR}/lib/libc10.so" ${cpu_torch}
        DESTINATION ${torch_libraries} COMPONENT worker)
file(GLOB cpu_nvidia "${TESSERA_TORCH_DIR}/../nvidia/cu13/lib/libcudart.so.*"
     "${TESSERA_TORCH_DIR}/../nvidia/cu13/lib/libcupti.so.*")
install(FILES ${cpu_nvidia} DESTINATION ${nvidia_libraries}/cu13/lib COMPONENT worker)

foreach(library torch_cuda c10_cuda torch_nvshmem caffe2_nvrtc)
  install(FILES "${TESSERA_TORCH_DIR}/lib/lib${library}.so" DESTINATION ${torch_libraries} COMPONENT cuda OPTIONAL)
endforeach()
install(DIRECTORY "${TESSERA_TORCH_DIR}/../nvidia/" DESTINATION ${nvidia_libraries} COMPONENT cuda OPTIONAL
        FILES_MATCHING PATTERN "lib/*.so*" PATTERN "include" EXCLUDE)
