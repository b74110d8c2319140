#include "common/request/field_values.h"

#include <gtest/gtest.h>

#include <string>

namespace tessera {
namespace {

const RequestField& Row(const std::string& name) {
  for (const RequestField& row : RequestFields()) {
    if (row.name == name) return row;
  }
  ADD_FAILURE() << name;
  return RequestFields().front();
}

TEST(FieldValuesTest, ValuesReadAsPeopleWriteThem) {
  v1::GenerateImageRequest request;
  request.set_prompt("a cat");
  request.set_seed(18446744073709551615u);
  request.set_guidance_scale(3.5);
  request.set_true_cfg_scale(1);
  request.set_width(-2147483648);
  request.set_text_mode(v1::TEXT_MODE_REPLICATED);
  request.set_allow_ranks_change(true);
  EXPECT_EQ(FieldText(request, Row("prompt")), "a cat");
  EXPECT_EQ(FieldText(request, Row("seed")), "18446744073709551615");
  EXPECT_EQ(FieldText(request, Row("guidance_scale")), "3.5");
  EXPECT_EQ(FieldText(request, Row("true_cfg_scale")), "1");
  EXPECT_EQ(FieldText(request, Row("width")), "-2147483648");
  EXPECT_EQ(FieldText(request, Row("text_mode")), "replicated");
  EXPECT_EQ(FieldText(request, Row("allow_ranks_change")), "1");
  request.set_text_mode(static_cast<v1::TextMode>(7));
  EXPECT_EQ(FieldText(request, Row("text_mode")), "7");
}

TEST(FieldValuesTest, NumbersOfEveryTypeAreSetAndRead) {
  v1::GenerateImageRequest request;
  for (const char* name : {"width", "seed", "guidance_scale", "text_mode", "allow_ranks_change"}) {
    EXPECT_FALSE(IsGiven(request, Row(name))) << name;
    SetFieldNumber(request, Row(name), 1);
    EXPECT_TRUE(IsGiven(request, Row(name))) << name;
    EXPECT_EQ(FieldNumber(request, Row(name)), 1) << name;
  }
  EXPECT_EQ(request.width(), 1);
  EXPECT_EQ(request.seed(), 1u);
  EXPECT_EQ(request.guidance_scale(), 1);
  EXPECT_EQ(request.text_mode(), v1::TEXT_MODE_SPLIT);
  EXPECT_TRUE(request.allow_ranks_change());
}

TEST(FieldValuesTest, ZeroIsGivenWhereAFieldHasPresence) {
  v1::GenerateImageRequest request;
  request.set_seed(0);
  request.set_prompt("");
  EXPECT_TRUE(IsGiven(request, Row("seed")));
  EXPECT_FALSE(IsGiven(request, Row("prompt")));
}

TEST(FieldValuesDeathTest, ARowWithoutAFieldEndsTheProcess) {
  const v1::GenerateImageRequest request;
  EXPECT_DEATH(FieldText(request, {.name = "strength"}), "names a field");
  EXPECT_DEATH(FieldNumber(request, Row("prompt")), "is a number");
}

}  // namespace
}  // namespace tessera
