#pragma once

#include <c10/core/Device.h>

#include <cstdint>

#include "common/job/job_memory.h"
#include "worker/comm/communicator.h"

namespace tessera {

// What is to be known of a rank whose weights are loaded.
struct LoadedRank {
  at::Device device = at::kCPU;
  int64_t weight_bytes = 0;    // of transformer and decoder
  int64_t encoder_bytes = 0;   // of T5 and CLIP, on the device now
  int64_t given_for_jobs = 0;  // by the user; 0: what is left
};

// What jobs may take of it. On the CPU weights are mapped files: those of transformer and decoder
// are taken to stay in memory, the encoders' to make room. On a device what is left counts, and
// what the encoders can give back.
JobMemory MeasureJobMemory(const MemoryCosts& costs, const LoadedRank& rank);

// A collective: what a job of this size takes. Throws StatusException: OUT_OF_RANGE, on
// all ranks alike, when the rank that has least has too little; the communicator's error.
MemoryNeed PlanJob(const JobSize& size, const JobMemory& mine, Communicator& communicator);

}  // namespace tessera
