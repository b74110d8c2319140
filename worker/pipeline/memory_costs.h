#pragma once

#include "common/job/job_memory.h"
#include "worker/flux/flux_config.h"
#include "worker/pipeline/compute_device.h"
#include "worker/text/text_config.h"
#include "worker/vae/vae_config.h"

namespace tessera {

// What the parts of a model cost on the device, counted tensor by tensor in the places where most
// of them live at once: the end of a single block, the feed-forward layer of T5, the decoder's
// widest level. Texts have at most max_text_tokens.
MemoryCosts CostsOf(const FluxConfig& flux, const VaeConfig& vae, const T5Config& t5,
                    int max_text_tokens, const ComputeDevice& compute);

}  // namespace tessera
