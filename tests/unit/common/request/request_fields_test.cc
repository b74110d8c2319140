#include "common/request/request_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/support/made_up_request.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::vector<std::string> FieldsWithoutRow(const google::protobuf::Descriptor& message,
                                          std::span<const RequestField> rows) {
  std::set<std::string> names;
  for (const RequestField& row : rows) names.insert(row.name);
  std::vector<std::string> missing;
  for (int i = 0; i < message.field_count(); ++i) {
    if (!names.contains(message.field(i)->name())) missing.push_back(message.field(i)->name());
  }
  return missing;
}

TEST(RequestFieldsTest, EveryFieldOfTheRequestHasARow) {
  EXPECT_THAT(FieldsWithoutRow(*v1::GenerateImageRequest::descriptor(), RequestFields()),
              IsEmpty());
}

TEST(RequestFieldsTest, AFieldWithoutARowIsFoundByItsName) {
  testing::MadeUpRequest request;
  const google::protobuf::Descriptor& message = *request.message().GetDescriptor();
  EXPECT_THAT(FieldsWithoutRow(message, RequestFields()), ElementsAre("strength"));
  EXPECT_THAT(FieldsWithoutRow(message, testing::MadeUpRequest::Rows()), IsEmpty());
}

TEST(RequestFieldsTest, EveryRowNamesAFieldOfItsOwn) {
  std::set<std::string> names;
  for (const RequestField& row : RequestFields()) {
    EXPECT_NE(v1::GenerateImageRequest::descriptor()->FindFieldByName(row.name), nullptr)
        << row.name;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
}

TEST(RequestFieldsTest, EveryRowHasAFlagOfItsOwnAndHelp) {
  std::set<std::string> flags;
  for (const RequestField& row : RequestFields()) {
    ASSERT_NE(row.flag, nullptr) << row.name;
    EXPECT_THAT(row.flag, StartsWith("--")) << row.name;
    EXPECT_TRUE(flags.insert(row.flag).second) << row.name;
    ASSERT_NE(row.help, nullptr) << row.name;
    EXPECT_NE(std::string(row.help), "") << row.name;
  }
}

TEST(RequestFieldsTest, WhatAPngTellsHasAKeywordOfItsOwn) {
  std::set<std::string> keywords;
  for (const RequestField& row : RequestFields()) {
    const std::string keyword = row.png_keyword;
    EXPECT_EQ(row.png_place == PngPlace::kNone, keyword.empty()) << row.name;
    EXPECT_TRUE(keyword.empty() || keywords.insert(keyword).second) << row.name;
  }
}

TEST(RequestFieldsTest, AnAbsentSourceGivesNoDefault) {
  const ModelDefaults model;
  for (const RequestField& row : RequestFields()) {
    if (row.default_value == nullptr) continue;
    const std::string name = row.name;
    const bool of_model = row.default_value({.model = &model}).has_value();
    const bool beside =
        name == "seed" || name == "sync_steps" || name == "refresh_every" || name == "text_mode";
    EXPECT_EQ(of_model, !beside) << name;
  }
}

}  // namespace
}  // namespace tessera
