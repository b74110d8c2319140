// The checkpoint in models/shapes through a real service: what its prompts say is in its pictures,
// on one worker and on four that rotate.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "common/png/png.h"
#include "tests/support/image_call.h"
#include "tests/support/service_process.h"

namespace tessera {
namespace {

using testing::ImageCall;
using testing::ServiceProcess;

using Rgb = std::array<int, 3>;

constexpr Rgb kRed = {220, 40, 40};
constexpr Rgb kBlue = {40, 80, 220};
constexpr Rgb kGreen = {40, 170, 70};
constexpr Rgb kYellow = {245, 215, 50};
constexpr Rgb kBlack = {18, 18, 18};
constexpr int kNear = 60;  // in each channel

class Picture {
 public:
  explicit Picture(const std::string& png) {
    const std::span bytes(reinterpret_cast<const uint8_t*>(png.data()), png.size());
    absl::StatusOr<PngImage> decoded = DecodePng(bytes);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    if (decoded.ok()) image_ = *std::move(decoded);
  }

  // The part of a rectangle, whose sides are given as parts of the picture's, that has the colour.
  double Share(const Rgb& colour, double left, double top, double right, double bottom) const {
    int all = 0;
    int alike = 0;
    for (int y = Part(top, image_.height); y < Part(bottom, image_.height); ++y) {
      for (int x = Part(left, image_.width); x < Part(right, image_.width); ++x) {
        ++all;
        alike += Has(colour, x, y) ? 1 : 0;
      }
    }
    return all == 0 ? 0 : static_cast<double>(alike) / all;
  }

 private:
  static int Part(double share, int side) { return static_cast<int>(share * side); }
  bool Has(const Rgb& colour, int x, int y) const {
    for (int channel = 0; channel < 3; ++channel) {
      const int value = image_.rgb[(y * image_.width + x) * 3 + channel];
      if (std::abs(value - colour[channel]) > kNear) return false;
    }
    return true;
  }

  PngImage image_;
};

Picture Draw(const ServiceProcess& service, const std::string& prompt) {
  v1::GenerateImageRequest request;
  request.set_prompt(prompt);
  request.set_seed(1);
  ImageCall call(service, request);
  const auto& result = call.Wait();
  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  return Picture(result.pngs.empty() ? "" : result.pngs.front());
}

class ShapesTest : public ::testing::TestWithParam<int> {
 protected:
  ShapesTest() { service_.AwaitServing(); }

  const ServiceProcess service_{
      {.spawn_workers = GetParam(), .model = TESSERA_SHAPES_DIR, .flags = {}}};
};

TEST_P(ShapesTest, ALargeRedCircleOnABlueBackground) {
  const Picture picture = Draw(service_, "a large red circle on a blue background");
  EXPECT_GT(picture.Share(kRed, 0.4, 0.4, 0.6, 0.6), 0.9);
  const double red = picture.Share(kRed, 0, 0, 1, 1);
  EXPECT_GT(red, 0.1);
  EXPECT_LT(red, 0.35);
  EXPECT_GT(picture.Share(kBlue, 0, 0, 1, 0.15), 0.9);
  EXPECT_GT(picture.Share(kBlue, 0, 0.85, 1, 1), 0.9);
}

TEST_P(ShapesTest, TwoObjectsSideBySide) {
  const Picture picture =
      Draw(service_, "a yellow star to the left of a green heart on a black background");
  EXPECT_GT(picture.Share(kYellow, 0, 0, 0.5, 1), 0.03);
  EXPECT_LT(picture.Share(kYellow, 0.5, 0, 1, 1), 0.01);
  EXPECT_GT(picture.Share(kGreen, 0.5, 0, 1, 1), 0.05);
  EXPECT_LT(picture.Share(kGreen, 0, 0, 0.5, 1), 0.01);
  EXPECT_GT(picture.Share(kBlack, 0, 0, 1, 0.15), 0.9);
}

INSTANTIATE_TEST_SUITE_P(, ShapesTest, ::testing::Values(1, 4),
                         [](const ::testing::TestParamInfo<int>& test) {
                           return "On" + std::to_string(test.param);
                         });

}  // namespace
}  // namespace tessera
