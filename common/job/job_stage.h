#pragma once

#include <string_view>

namespace tessera {

// What is being done for a job, in this order. The server alone knows of the first and the last;
// the others begin on workers, and rank 0 reports them.
enum class JobStage { kQueue, kMemoryPlan, kTextEncode, kDenoise, kVaeDecode, kPng };

// The stage's one spelling, in errors, metadata and logs: "queue", "memory_plan", "text_encode",
// "denoise", "vae_decode" or "png".
constexpr std::string_view StageName(JobStage stage) {
  switch (stage) {
    case JobStage::kQueue:
      return "queue";
    case JobStage::kMemoryPlan:
      return "memory_plan";
    case JobStage::kTextEncode:
      return "text_encode";
    case JobStage::kDenoise:
      return "denoise";
    case JobStage::kVaeDecode:
      return "vae_decode";
    case JobStage::kPng:
      return "png";
  }
  return "?";
}

}  // namespace tessera
