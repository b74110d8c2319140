#pragma once

#include <cstdint>
#include <string>

#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

// Everything the server says to a worker.

internal::v1::ConnectResponse Welcome(int64_t worker_id, double heartbeat_interval_s);
internal::v1::ConnectResponse Ping(int64_t number);
internal::v1::ConnectResponse HostStore(int64_t epoch);
internal::v1::ConnectResponse JoinGroup(int64_t epoch, int rank, int size,
                                        const std::string& store_host, int store_port,
                                        double join_timeout_s);
internal::v1::ConnectResponse RunJob(internal::v1::RunJob job);
internal::v1::ConnectResponse CancelJob(const internal::v1::JobKey& key,
                                        internal::v1::StopReason why);
internal::v1::ConnectResponse EndEpoch(int64_t epoch, const std::string& why);
internal::v1::ConnectResponse Leave(const std::string& why);

}  // namespace tessera
