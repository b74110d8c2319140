#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/job/job_size.h"

namespace tessera {

// Bytes that a job takes of a rank, beside the weights. A row is a token of the joint sequence of
// one picture; a pass is one of true CFG's two.
struct MemoryCosts {
  int64_t layers = 0;          // with attention
  int64_t kv_row = 0;          // per layer and pass: K and V
  int64_t open_layer_row = 0;  // per pass: of the layer in use, where layers are stored packed
  int64_t computed_row = 0;   // of the rows that this rank computes, at the worst moment of a block
  int64_t recorded_row = 0;   // of the rows that this rank computes, in recorded steps
  int64_t any_row = 0;        // of all rows: rotary table, latents, velocity
  int64_t text_token = 0;     // while T5 runs
  int64_t step = 0;           // per pass: the modulation vectors
  int64_t decoded_pixel = 0;  // of the one picture that is being decoded, what is kept whole
  int64_t picture_pixel = 0;  // of every picture, until it is a PNG
  int64_t max_bands = 0;      // what the decoder's bands take of a large picture
};

// One rank's memory as far as jobs are concerned, in bytes.
struct JobMemory {
  MemoryCosts costs;
  int64_t available = 0;  // for the largest job, beside the weights
  // The ranks of a group are taken to share it, as processes of one host do.
  bool shared = false;

  int64_t available_to_each(int64_t ranks) const { return shared ? available / ranks : available; }
};

struct MemoryNeed {
  int64_t kv_cache = 0;
  int64_t recorded = 0;     // by steps that are recorded
  int64_t activations = 0;  // the largest set that exists at one time: text, denoising or decoding

  int64_t kept() const { return kv_cache + recorded; }  // when the job is over
  int64_t total() const { return kept() + activations; }
};

// An upper bound for every rank of the job's group: as if it decoded the pictures alone.
MemoryNeed NeedOf(const JobSize& size, const MemoryCosts& costs);

// RESOURCE_EXHAUSTED, naming the fields of the request that count and both sums, unless the job
// fits.
absl::Status CheckFits(const JobSize& size, const JobMemory& memory);

}  // namespace tessera
