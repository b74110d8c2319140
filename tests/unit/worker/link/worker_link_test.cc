#include "worker/link/worker_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>

#include "tests/unit/worker/link/commands.h"
#include "tests/unit/worker/link/fake_engine.h"
#include "tests/unit/worker/link/fake_server.h"

namespace tessera {
namespace {

namespace pb = internal::v1;

// A link that runs on a thread of its own until it ends by itself or with this object.
class RunningLink {
 public:
  RunningLink(WorkerLinkOptions options, EngineScript& script)
      : link_(std::move(options), std::make_unique<FakeEngine>(script)),
        result_(std::async(std::launch::async, [this] { return link_.Run(stop_.get_token()); })) {}
  ~RunningLink() { stop_.request_stop(); }

  absl::Status Stop() {
    stop_.request_stop();
    return result_.get();
  }
  absl::Status Wait() { return result_.get(); }

 private:
  std::stop_source stop_;
  WorkerLink link_;
  std::future<absl::Status> result_;
};

class WorkerLinkTest : public testing::Test {
 protected:
  WorkerLinkOptions Options() const {
    return {.server = server_->address(),
            .token = "secret",
            .name = "worker 2",
            .device = "cpu",
            .advertised_address = "",
            .supervised_index = 2,
            .first_backoff_s = 0.001,
            .max_backoff_s = 0.01};
  }

  EngineScript script_;
  std::unique_ptr<FakeServer> server_ = std::make_unique<FakeServer>();
};

TEST_F(WorkerLinkTest, RegistersWhatTheWorkerIs) {
  script_.model.limits.max_images = 5;
  RunningLink link(Options(), script_);
  const auto session = server_->Accept();
  const pb::Register registration = session->received.Next().register_();
  EXPECT_EQ(registration.name(), "worker 2");
  EXPECT_EQ(registration.build(), TESSERA_VERSION);
  EXPECT_EQ(registration.device(), "cpu");
  EXPECT_EQ(registration.device_kind(), "cpu");
  EXPECT_EQ(registration.dtype(), "float32");
  EXPECT_EQ(registration.threads(), 3);
  EXPECT_EQ(registration.pid(), getpid());
  EXPECT_FALSE(registration.host().empty());
  EXPECT_EQ(registration.advertised_address(), "127.0.0.1");
  EXPECT_EQ(registration.supervised_index(), 2);
  EXPECT_EQ(registration.model().name(), "tiny");
  EXPECT_EQ(registration.model().fingerprint(), "0123456789abcdef");
  EXPECT_EQ(registration.model().default_inference_steps(), 28);
  EXPECT_EQ(registration.model().max_images(), 5);
}

TEST_F(WorkerLinkTest, AdvertisesTheAddressItWasGiven) {
  WorkerLinkOptions options = Options();
  options.advertised_address = "10.1.2.3";
  RunningLink link(options, script_);
  const auto session = server_->Accept();
  EXPECT_EQ(session->received.Next().register_().advertised_address(), "10.1.2.3");
}

TEST_F(WorkerLinkTest, FormsAGroupAndMakesAPicture) {
  script_.generate = [](const ImageRequest&, const JobHooks& hooks) {
    EXPECT_TRUE(hooks.on_step(0, 1).ok());
    ImageResult result;
    result.pictures = {std::string(3 << 20, 'p')};
    return result;
  };
  RunningLink link(Options(), script_);
  const auto session = server_->Accept();
  EXPECT_TRUE(session->received.Next().has_register_());
  session->Send(HostStore(1));
  EXPECT_EQ(session->received.Next().store_ready().port(), 4711);
  session->Send(JoinGroup(1));
  EXPECT_EQ(session->received.Next().group_joined().outcome().code(), 0);
  session->Send(RunJob(Key("j", 1, 1)));
  EXPECT_TRUE(session->received.Next().has_step_done());
  std::string pixels;
  for (int i = 0; i < 3; ++i) pixels += session->received.Next().pixel_chunk().data();
  EXPECT_EQ(pixels, std::string(3 << 20, 'p'));
  EXPECT_TRUE(session->received.Next().job_done().group_whole());
  session->Send(EndEpoch(1));
  EXPECT_EQ(session->received.Next().epoch_ended().epoch(), 1);
}

TEST_F(WorkerLinkTest, AnswersPingsWhileTheEngineIsBusy) {
  BlockingQueue<bool> go_on;
  script_.generate = [&](const ImageRequest&, const JobHooks&) {
    go_on.Next();
    return ImageResult();
  };
  RunningLink link(Options(), script_);
  const auto session = server_->Accept();
  session->received.Next();
  session->Send(JoinGroup(1));
  session->received.Next();
  session->Send(RunJob(Key("j", 1, 1)));
  session->Send(Ping(77));
  EXPECT_EQ(session->received.Next().heartbeat().number(), 77);
  go_on.Add(true);
  EXPECT_TRUE(session->received.Next().has_job_done());
}

TEST_F(WorkerLinkTest, ComesBackAfterALossWithoutTheGroup) {
  script_.generate = [&](const ImageRequest&, const JobHooks&) { return script_.aborts.Next(); };
  RunningLink link(Options(), script_);
  auto session = server_->Accept();
  session->received.Next();
  session->Send(JoinGroup(8));
  session->received.Next();
  session->Send(RunJob(Key("j", 1, 8)));
  EXPECT_EQ(script_.calls.Next(), "JoinGroup 8");
  EXPECT_EQ(script_.calls.Next(), "Generate j 1.5");
  session->Close();
  EXPECT_EQ(script_.calls.Next(), "LeaveGroup");

  session = server_->Accept();
  EXPECT_TRUE(session->received.Next().has_register_());
  session->Send(JoinGroup(1));
  EXPECT_EQ(session->received.Next().group_joined().epoch(), 1);
}

TEST_F(WorkerLinkTest, FindsAServerThatWasRestarted) {
  RunningLink link(Options(), script_);
  EXPECT_TRUE(server_->Accept()->received.Next().has_register_());
  const int port = server_->port();
  server_.reset();
  server_ = std::make_unique<FakeServer>(port);
  EXPECT_TRUE(server_->Accept()->received.Next().has_register_());
}

TEST_F(WorkerLinkTest, EndsWithTheServersRefusal) {
  WorkerLinkOptions options = Options();
  options.token = "wrong";
  RunningLink link(options, script_);
  const absl::Status status = link.Wait();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(status.message(), "x-tessera-token: not this server's");
}

TEST_F(WorkerLinkTest, RefusesAServerWithoutAPort) {
  WorkerLinkOptions options = Options();
  options.server = "nowhere";
  RunningLink link(options, script_);
  EXPECT_EQ(link.Wait().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(WorkerLinkTest, EndsWhenTheServerAsksItToLeave) {
  RunningLink link(Options(), script_);
  const auto session = server_->Accept();
  pb::ConnectResponse leave;
  leave.mutable_leave()->set_reason("draining");
  session->Send(leave);
  EXPECT_TRUE(link.Wait().ok());
}

TEST_F(WorkerLinkTest, StopsWhileConnected) {
  RunningLink link(Options(), script_);
  const auto session = server_->Accept();
  session->received.Next();
  EXPECT_TRUE(link.Stop().ok());
}

TEST_F(WorkerLinkTest, StopsWhileTheServerIsAway) {
  WorkerLinkOptions options = Options();
  options.first_backoff_s = options.max_backoff_s = 3600;
  server_.reset();
  RunningLink link(options, script_);
  EXPECT_TRUE(link.Stop().ok());
}

}  // namespace
}  // namespace tessera
