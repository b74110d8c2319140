# What ThreadSanitizer needs to know of Debian's gRPC and Abseil, for every program that links tessera_proto.
if(TESSERA_SANITIZE STREQUAL "thread")
  add_library(tessera_tsan_abseil OBJECT ${CMAKE_CURRENT_LIST_DIR}/tsan_abseil.cc)
  target_link_libraries(tessera_tsan_abseil PRIVATE absl::synchronization gRPC::grpc++)
  target_link_libraries(tessera_proto INTERFACE $<TARGET_OBJECTS:tessera_tsan_abseil>)
endif()
