#include <cstddef>
#include <cstdint>

#include "common/model/model_info.h"
#include "common/model/weight_files.h"
#include "tests/fuzz/fuzzed_checkpoint.h"
#include "worker/flux/flux_config.h"
#include "worker/sampling/flow_match_scheduler.h"
#include "worker/text/text_config.h"
#include "worker/vae/vae_config.h"

// Whatever a checkpoint's JSON holds, its readers answer with a value or a status.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static tessera::testing::FuzzedCheckpoint checkpoint;
  const auto file = tessera::testing::SplitInput(data, size);
  if (!file.has_value()) return 0;
  checkpoint.Replace(file->name, file->bytes);
  const std::string& dir = checkpoint.dir();
  (void)tessera::ReadModelInfo(dir);
  (void)tessera::FindWeightFiles(dir + "/transformer", "diffusion_pytorch_model");
  (void)tessera::ReadFluxConfig(dir);
  (void)tessera::ReadSchedulerConfig(dir);
  (void)tessera::ReadVaeConfig(dir);
  (void)tessera::ReadClipTextConfig(dir + "/text_encoder");
  (void)tessera::ReadT5Config(dir + "/text_encoder_2");
  return 0;
}
