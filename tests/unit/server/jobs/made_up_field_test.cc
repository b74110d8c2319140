#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/request/field_values.h"
#include "server/jobs/generation_metadata.h"
#include "server/request/validation.h"
#include "tests/support/made_up_request.h"
#include "tests/unit/server/jobs/recording_listener.h"

namespace tessera {
namespace {

using ::testing::Contains;
using ::testing::Pair;

// A new field costs its row: nothing of what follows was written for `strength`.
class MadeUpFieldTest : public ::testing::Test {
 protected:
  testing::MadeUpRequest request_;
  const std::vector<RequestField> rows_ = testing::MadeUpRequest::Rows();
};

TEST_F(MadeUpFieldTest, IsValidated) {
  request_.SetStrength(1.5);
  const auto violations = ValidateFields(request_.message(), nullptr, rows_);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "strength");
  EXPECT_EQ(violations[0].description, "must be in [0, 1], is 1.5");
  request_.SetStrength(1);
  EXPECT_TRUE(ValidateFields(request_.message(), nullptr, rows_).empty());
}

TEST_F(MadeUpFieldTest, HasADefault) {
  FillFields(request_.message(), {}, rows_);
  EXPECT_EQ(request_.Strength(), 0.5);
  request_.SetStrength(0);
  FillFields(request_.message(), {}, rows_);
  EXPECT_EQ(request_.Strength(), 0);
}

TEST_F(MadeUpFieldTest, StandsInThePng) {
  request_.SetStrength(0.25);
  EXPECT_THAT(PngFields(request_.message(), PngPlace::kSettings, rows_),
              Contains(Pair("strength", "0.25")));
  EXPECT_THAT(PngFields(request_.message(), PngPlace::kSharing, rows_),
              ::testing::Not(Contains(Pair("strength", "0.25"))));
}

// Every field of the request with a value other than zero.
v1::GenerateImageRequest FullRequest() {
  v1::GenerateImageRequest request;
  for (const RequestField& row : RequestFields()) {
    const auto& field = FieldOf(request, row);
    if (field.cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
      request.GetReflection()->SetString(&request, &field, row.name);
    } else {
      SetFieldNumber(request, row, 1);
    }
  }
  return request;
}

TEST(EveryFieldTest, StandsInTheMetadata) {
  Job job({.id = "job-1"}, std::make_shared<testing::RecordingListener>());
  job.Resolve(FullRequest(), {});
  const v1::GenerationMetadata metadata = MakeMetadata(job, {}, {});
  const v1::GenerateImageRequest& told = metadata.effective_request();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  told.GetReflection()->ListFields(told, &fields);
  EXPECT_EQ(fields.size(), RequestFields().size());
  EXPECT_EQ(told.SerializeAsString(), FullRequest().SerializeAsString());
}

TEST(EveryFieldTest, ThatHasAPlaceStandsInThePng) {
  v1::GenerationMetadata metadata;
  *metadata.mutable_effective_request() = FullRequest();
  const PngText text = PngSettings(metadata);
  for (const RequestField& row : RequestFields()) {
    if (row.png_place == PngPlace::kNone) continue;
    EXPECT_THAT(text, Contains(Pair(row.png_keyword, FieldText(FullRequest(), row)))) << row.name;
  }
}

TEST(EveryFieldTest, ThatIsNotAChoiceOfTheClientAloneHasADefault) {
  const ModelInfo model;
  const v1::GenerateImageRequest filled = FillDefaults({}, model, {}, 77);
  for (const RequestField& row : RequestFields()) {
    EXPECT_EQ(IsGiven(filled, row), row.default_value != nullptr) << row.name;
  }
}

}  // namespace
}  // namespace tessera
