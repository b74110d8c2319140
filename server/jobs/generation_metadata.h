#pragma once

#include <google/protobuf/message.h>

#include <span>

#include "common/png/png.h"
#include "common/request/request_fields.h"
#include "server/jobs/job.h"
#include "tessera/internal/v1/worker_link.pb.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// What the answer to a job says besides its pictures, when its run succeeded on workers like
// `worker`; the times of what follows the run are left out.
v1::GenerationMetadata MakeMetadata(const Job& job, const internal::v1::JobReport& report,
                                    const internal::v1::Register& worker);

// The text chunks of the PNGs: what decides their pixels. Nothing here depends on the job or the
// clock.
PngText PngSettings(const v1::GenerationMetadata& metadata);

// The fields of a request that `rows` put at this place.
PngText PngFields(const google::protobuf::Message& request, PngPlace place,
                  std::span<const RequestField> rows);

}  // namespace tessera
