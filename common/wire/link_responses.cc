#include "common/wire/link_responses.h"

#include <utility>

namespace tessera {
namespace {

int64_t Milliseconds(double seconds) { return static_cast<int64_t>(seconds * 1000); }

}  // namespace

internal::v1::ConnectResponse Welcome(int64_t worker_id, double heartbeat_interval_s) {
  internal::v1::ConnectResponse response;
  response.mutable_welcome()->set_worker_id(worker_id);
  response.mutable_welcome()->set_heartbeat_interval_ms(Milliseconds(heartbeat_interval_s));
  return response;
}

internal::v1::ConnectResponse Ping(int64_t number) {
  internal::v1::ConnectResponse response;
  response.mutable_ping()->set_number(number);
  return response;
}

internal::v1::ConnectResponse HostStore(int64_t epoch) {
  internal::v1::ConnectResponse response;
  response.mutable_host_store()->set_epoch(epoch);
  return response;
}

internal::v1::ConnectResponse JoinGroup(int64_t epoch, int rank, int size,
                                        const std::string& store_host, int store_port,
                                        double join_timeout_s) {
  internal::v1::ConnectResponse response;
  internal::v1::JoinGroup& join = *response.mutable_join_group();
  join.set_epoch(epoch);
  join.set_rank(rank);
  join.set_size(size);
  join.set_store_host(store_host);
  join.set_store_port(store_port);
  join.set_join_timeout_ms(Milliseconds(join_timeout_s));
  return response;
}

internal::v1::ConnectResponse RunJob(internal::v1::RunJob job) {
  internal::v1::ConnectResponse response;
  *response.mutable_run_job() = std::move(job);
  return response;
}

internal::v1::ConnectResponse CancelJob(const internal::v1::JobKey& key,
                                        internal::v1::StopReason why) {
  internal::v1::ConnectResponse response;
  *response.mutable_cancel_job()->mutable_key() = key;
  response.mutable_cancel_job()->set_reason(why);
  return response;
}

internal::v1::ConnectResponse EndEpoch(int64_t epoch, const std::string& why) {
  internal::v1::ConnectResponse response;
  response.mutable_end_epoch()->set_epoch(epoch);
  response.mutable_end_epoch()->set_reason(why);
  return response;
}

internal::v1::ConnectResponse Leave(const std::string& why) {
  internal::v1::ConnectResponse response;
  response.mutable_leave()->set_reason(why);
  return response;
}

}  // namespace tessera
