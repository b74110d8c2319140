# Everything Tessera links, as imported targets. find_package(Protobuf) comes before anything of torch (its wheel
# holds an old protobuf and a newer fmt that would shadow the system's).
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(PNG REQUIRED)

if(TESSERA_SERVICE)
  find_package(Protobuf REQUIRED)
  find_package(gRPC CONFIG REQUIRED)
  find_package(spdlog REQUIRED)
endif()

if(TESSERA_ENGINE)
  find_path(UTF8PROC_INCLUDE_DIR utf8proc.h REQUIRED)
  find_library(UTF8PROC_LIBRARY utf8proc REQUIRED)
  add_library(tessera_utf8proc INTERFACE IMPORTED)
  target_include_directories(tessera_utf8proc INTERFACE ${UTF8PROC_INCLUDE_DIR})
  target_link_libraries(tessera_utf8proc INTERFACE ${UTF8PROC_LIBRARY})

  include(Torch)
  include(Cuda)
endif()

if(TESSERA_TESTS)
  find_package(GTest REQUIRED)
endif()
