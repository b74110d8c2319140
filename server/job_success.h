#pragma once

#include "server/clock.h"
#include "server/job.h"
#include "server/job_listener.h"
#include "server/job_run.h"
#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

// The answer to a job whose run succeeded at `now` on workers like `worker`.
JobSuccess MakeSuccess(const Job& job, RunResult result, const internal::v1::Register& worker,
                       TimePoint now);

}  // namespace tessera
