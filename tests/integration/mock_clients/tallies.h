#pragma once

#include <grpcpp/support/status.h>

#include "tessera/v1/image_service.pb.h"

namespace tessera::testing {

// What clients have heard, in the server's words; what clients cannot know stays 0.
void CountAnswer(const grpc::Status& status, v1::JobTallies& tallies);

// Whether nothing is under way any more: every admitted job has ended, and each worker has counted
// as many attempts as were begun.
bool AllSettled(const v1::GetServerInfoResponse& info);

// Fails where clients, server and workers disagree on what became of the requests, none of which
// may have failed.
void ExpectEqualTallies(const v1::JobTallies& clients, const v1::GetServerInfoResponse& info);

void PrintTallies(const v1::JobTallies& clients, const v1::GetServerInfoResponse& info);

}  // namespace tessera::testing
