#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

namespace tessera {

// Where the kernel tells about memory.
struct MemoryPlaces {
  std::string proc = "/proc";
  std::string cgroups = "/sys/fs/cgroup";
};

// Host memory that this process may still take, in bytes: what the kernel calls available, or what
// is left of the smallest limit of its control groups (version 1 or 2) and their parents. Pages of
// mapped files count as free, since the kernel drops them for whoever needs them. 0 when nothing
// can be read.
int64_t AvailableHostBytes(const MemoryPlaces& places = {});

// The same of a device; on the CPU, of the host. What the device's allocator holds unused counts.
int64_t AvailableBytes(at::Device device);

}  // namespace tessera
