#pragma once

#include "common/flags/worker_settings.h"
#include "worker/pipeline/engine.h"

namespace tessera {

// What the settings of a worker mean to the engine. The settings hold only values that their table
// allows. The options still lack the model, the device and who hears of the loading.
PipelineOptions PipelineOptionsOf(const WorkerSettings& settings);

Collectives CollectivesOf(const WorkerSettings& settings);

}  // namespace tessera
