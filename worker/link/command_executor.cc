#include "worker/link/command_executor.h"

#include <utility>

#include "absl/status/status.h"
#include "common/wire/link_conversion.h"
#include "spdlog/spdlog.h"
#include "worker/base/exception_status.h"

namespace tessera {

namespace pb = internal::v1;

CommandExecutor::CommandExecutor(Engine& engine, std::function<void()> on_step)
    : engine_(engine), on_step_(std::move(on_step)) {}

pb::StoreReady CommandExecutor::HostStore(const pb::HostStore& command,
                                          const std::string& address) {
  pb::StoreReady ready;
  ready.set_epoch(command.epoch());
  const absl::StatusOr<int> port =
      CatchExceptions([&] { return engine_.HostStore(command.epoch(), address); });
  *ready.mutable_outcome() = ToProto(port.status());
  if (port.ok()) ready.set_port(*port);
  return ready;
}

pb::GroupJoined CommandExecutor::JoinGroup(const pb::JoinGroup& command,
                                           const std::string& address) {
  rank_ = command.rank();
  const GroupOptions options = {
      .epoch = command.epoch(),
      .rank = command.rank(),
      .size = command.size(),
      .store_host = command.store_host(),
      .store_port = command.store_port(),
      .interface_address = address,
      .join_timeout_s = static_cast<double>(command.join_timeout_ms()) / 1e3,
  };
  const absl::Status status = CatchExceptions([&] { return engine_.JoinGroup(options); });
  spdlog::info("event=joined epoch={} rank={} size={} status=\"{}\"", options.epoch, options.rank,
               options.size, status.ToString());
  pb::GroupJoined joined;
  joined.set_epoch(command.epoch());
  *joined.mutable_outcome() = ToProto(status);
  return joined;
}

pb::JobDone CommandExecutor::RunJob(const pb::RunJob& command, const std::atomic<StopReason>& stop,
                                    const Send& send) {
  const pb::JobKey& key = command.key();
  const absl::StatusOr<ImageResult> result =
      CatchExceptions([&] { return Generate(command, stop, send); });
  spdlog::info("event=job_done job={} attempt={} status=\"{}\"", key.job_id(), key.attempt(),
               result.status().ToString());
  pb::JobDone done;
  *done.mutable_key() = key;
  *done.mutable_outcome() = ToProto(result.status());
  done.set_group_whole(GroupStaysWholeAfter(result.status()));
  if (!done.group_whole()) LeaveGroup();  // the closed connections tell the other ranks
  if (!result.ok()) return done;
  *done.mutable_report() = MakeJobReport(*result);
  for (pb::PixelChunk& chunk : MakePixelChunks(key, result->pictures)) {
    pb::ConnectRequest message;
    *message.mutable_pixel_chunk() = std::move(chunk);
    send(std::move(message));
  }
  return done;
}

absl::StatusOr<ImageResult> CommandExecutor::Generate(const pb::RunJob& command,
                                                      const std::atomic<StopReason>& stop,
                                                      const Send& send) {
  JobHooks hooks;
  hooks.stop = &stop;
  hooks.on_stage = [&](JobStage stage) {
    if (rank_ != 0) return;
    pb::ConnectRequest message;
    *message.mutable_stage_begun()->mutable_key() = command.key();
    message.mutable_stage_begun()->set_stage(ToProto(stage));
    send(std::move(message));
  };
  hooks.on_step = [&](int step, int steps) {
    on_step_();
    if (rank_ != 0) return absl::OkStatus();
    pb::ConnectRequest message;
    *message.mutable_step_done()->mutable_key() = command.key();
    message.mutable_step_done()->set_step(step);
    message.mutable_step_done()->set_steps(steps);
    send(std::move(message));
    return absl::OkStatus();
  };
  return engine_.Generate(FromProto(command.request()), hooks,
                          static_cast<double>(command.collective_timeout_ms()) / 1e3);
}

pb::EpochEnded CommandExecutor::EndEpoch(const pb::EndEpoch& command) {
  LeaveGroup();
  pb::EpochEnded ended;
  ended.set_epoch(command.epoch());
  return ended;
}

void CommandExecutor::LeaveGroup() {
  const absl::Status status = CatchExceptions([&] {
    engine_.LeaveGroup();
    return absl::OkStatus();
  });
  if (!status.ok()) spdlog::error("event=leave_failed status=\"{}\"", status.ToString());
}

}  // namespace tessera
