#pragma once

#include <string>

#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

// Messages as a server sends them.

inline internal::v1::JobKey Key(const std::string& job_id, int attempt, int64_t epoch) {
  internal::v1::JobKey key;
  key.set_job_id(job_id);
  key.set_attempt(attempt);
  key.set_epoch(epoch);
  return key;
}

inline internal::v1::ConnectResponse HostStore(int64_t epoch) {
  internal::v1::ConnectResponse message;
  message.mutable_host_store()->set_epoch(epoch);
  return message;
}

inline internal::v1::ConnectResponse JoinGroup(int64_t epoch, int rank = 0, int size = 3) {
  internal::v1::ConnectResponse message;
  internal::v1::JoinGroup& join = *message.mutable_join_group();
  join.set_epoch(epoch);
  join.set_rank(rank);
  join.set_size(size);
  join.set_store_host("10.0.0.7");
  join.set_store_port(4711);
  join.set_join_timeout_ms(2500);
  return message;
}

// The prompt is the job's id.
inline internal::v1::ConnectResponse RunJob(const internal::v1::JobKey& key) {
  internal::v1::ConnectResponse message;
  *message.mutable_run_job()->mutable_key() = key;
  message.mutable_run_job()->mutable_request()->set_prompt(key.job_id());
  message.mutable_run_job()->set_collective_timeout_ms(1500);
  return message;
}

inline internal::v1::ConnectResponse CancelJob(const internal::v1::JobKey& key,
                                               internal::v1::StopReason reason) {
  internal::v1::ConnectResponse message;
  *message.mutable_cancel_job()->mutable_key() = key;
  message.mutable_cancel_job()->set_reason(reason);
  return message;
}

inline internal::v1::ConnectResponse EndEpoch(int64_t epoch) {
  internal::v1::ConnectResponse message;
  message.mutable_end_epoch()->set_epoch(epoch);
  message.mutable_end_epoch()->set_reason("a rank was lost");
  return message;
}

inline internal::v1::ConnectResponse Ping(int64_t number) {
  internal::v1::ConnectResponse message;
  message.mutable_ping()->set_number(number);
  return message;
}

}  // namespace tessera
