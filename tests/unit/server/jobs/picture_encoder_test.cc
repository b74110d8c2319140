#include "server/jobs/picture_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "tests/support/png_pixels.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using testing::PixelsOf;

constexpr int kWidth = 40;
constexpr int kHeight = 30;

std::string Pixels(int picture) { return std::string(3 * kWidth * kHeight, char('a' + picture)); }

// An event loop in a thread of its own, and an encoder that answers there.
class PngThreadsTest : public ::testing::Test {
 protected:
  ~PngThreadsTest() override { loop_.Stop(); }

  Pictures Make(int pictures) {
    Pictures made = {.width = kWidth, .height = kHeight, .settings = {{"seed", "7"}}};
    for (int i = 0; i < pictures; ++i) made.rgb.push_back(Pixels(i));
    return made;
  }

  const SteadyClock clock_;
  EventLoop loop_{clock_};
  PngThreads encoder_{loop_};
  std::jthread thread_{[this] { loop_.Run(); }};
};

TEST_F(PngThreadsTest, EncodesEveryPictureInOrder) {
  std::vector<std::string> pngs;
  encoder_.Encode(Make(9), [&](absl::StatusOr<std::vector<std::string>> result) {
    EXPECT_EQ(std::this_thread::get_id(), thread_.get_id());
    ASSERT_TRUE(result.ok()) << result.status();
    pngs = *std::move(result);
    loop_.Stop();
  });
  thread_.join();
  ASSERT_EQ(pngs.size(), 9u);
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(PixelsOf(pngs[i]), Pixels(i));
    EXPECT_THAT(pngs[i], HasSubstr("seed"));
  }
}

TEST_F(PngThreadsTest, AnswersEveryJobOnce) {
  constexpr int kJobs = 50;
  std::vector<int> answers(kJobs);
  int answered = 0;
  for (int job = 0; job < kJobs; ++job) {
    encoder_.Encode(Make(1 + job % 3), [&, job](absl::StatusOr<std::vector<std::string>> result) {
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->size(), 1u + job % 3);
      ++answers[job];
      if (++answered == kJobs) loop_.Stop();
    });
  }
  thread_.join();
  EXPECT_THAT(answers, ::testing::Each(1));
}

TEST_F(PngThreadsTest, SaysWhyOneCannotBeEncoded) {
  Pictures pictures = Make(3);
  pictures.rgb[1].pop_back();
  absl::Status status;
  encoder_.Encode(std::move(pictures), [&](absl::StatusOr<std::vector<std::string>> result) {
    status = result.status();
    loop_.Stop();
  });
  thread_.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

TEST(PngThreadsEndTest, EndsWithWorkThatNobodyWaitsFor) {
  const SteadyClock clock;
  EventLoop loop(clock);
  std::optional<PngThreads> encoder(loop);
  for (int i = 0; i < 100; ++i) {
    encoder->Encode({.rgb = {Pixels(0)}, .width = kWidth, .height = kHeight, .settings = {}},
                    [](const auto&) { ADD_FAILURE() << "the loop does not run"; });
  }
  encoder.reset();
}

}  // namespace
}  // namespace tessera
