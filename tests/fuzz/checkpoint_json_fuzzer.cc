#include <cstddef>
#include <cstdint>

#include "common/model/checkpoint_folder.h"
#include "common/model/model_info.h"
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
  (void)tessera::ReadModelInfo(checkpoint.dir());
  const tessera::CheckpointFolder folder(checkpoint.dir());
  (void)folder.Weights(tessera::Part::kTransformer);
  (void)tessera::ReadFluxConfig(folder);
  (void)tessera::ReadSchedulerConfig(folder);
  (void)tessera::ReadVaeConfig(folder);
  (void)tessera::ReadClipTextConfig(folder);
  (void)tessera::ReadT5Config(folder);
  return 0;
}
