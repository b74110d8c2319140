#include "worker/tokenizer/spiece_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "tests/support/golden.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

std::string Tag(int field, int wire_type) {
  return std::string(1, static_cast<char>(field << 3 | wire_type));
}

// A length-delimited field of less than 128 bytes.
std::string Message(int field, const std::string& bytes) {
  return Tag(field, 2) + static_cast<char>(bytes.size()) + bytes;
}

std::string Piece(const std::string& text, float score, int type = 1) {
  std::string bits(4, '\0');
  std::memcpy(bits.data(), &score, 4);
  return Message(1, Message(1, text) + Tag(2, 5) + bits + Tag(3, 0) + static_cast<char>(type));
}

// With a charsmap of one empty unit, and one replacement.
std::string Model() {
  const std::string charsmap("\4\0\0\0\0\0\0\0x\0", 10);
  return Piece("<unk>", 0, 2) + Piece("ab", -1.5) + Message(3, Message(2, charsmap));
}

std::string ErrorOf(const std::string& bytes) {
  const absl::Status status = ParseSpieceModel(bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(SpieceModelTest, PiecesAndScores) {
  const absl::StatusOr<UnigramModel> model = ParseSpieceModel(Model());
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ(model->pieces.size(), 2U);
  EXPECT_EQ(model->pieces[1].text, "ab");
  EXPECT_EQ(model->pieces[1].score, -1.5);
  EXPECT_EQ(model->unknown_id, 0);
}

TEST(SpieceModelTest, UnknownFieldsAreSkipped) {
  const std::string extra =
      Tag(7, 0) + "\x96\x01" + Tag(8, 1) + "12345678" + Tag(9, 5) + "1234" + Message(10, "text");
  EXPECT_TRUE(ParseSpieceModel(extra + Model()).ok());
}

TEST(SpieceModelTest, OnlyUnigramModels) {
  EXPECT_TRUE(ParseSpieceModel(Model() + Message(2, Tag(3, 0) + "\x01")).ok());
  EXPECT_THAT(ErrorOf(Model() + Message(2, Tag(3, 0) + "\x02")), HasSubstr("model_type"));
}

TEST(SpieceModelTest, IncompleteModelsAreNamed) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("pieces"));
  EXPECT_THAT(ErrorOf(Piece("ab", -1)), HasSubstr("UNKNOWN"));
  EXPECT_THAT(ErrorOf(Model() + Piece("c", std::numeric_limits<float>::infinity())),
              HasSubstr("pieces.2.score"));
  EXPECT_THAT(ErrorOf(Model() + Message(3, Message(2, "map"))), HasSubstr("precompiled_charsmap"));
  EXPECT_THAT(ErrorOf(Piece("c", std::numeric_limits<float>::quiet_NaN())), HasSubstr("score"));
}

TEST(SpieceModelTest, MalformedBytesAreNamedByTheirOffset) {
  EXPECT_THAT(ErrorOf(Model() + Tag(1, 2) + "\x7F"), HasSubstr("malformed protobuf at byte"));
  EXPECT_THAT(ErrorOf(Model() + Tag(1, 3)), HasSubstr("malformed"));  // a group
  EXPECT_THAT(ErrorOf(Model() + Tag(0, 0) + "\x01"), HasSubstr("malformed"));
  EXPECT_THAT(ErrorOf(std::string(11, '\xFF')), HasSubstr("malformed"));  // an endless varint
}

TEST(SpieceModelTest, EveryCutOfARealModelIsAModelOrAnError) {
  const std::string path = testing::TinyFluxDir() + "/tokenizer_2/spiece.model";
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  ASSERT_GT(bytes.size(), 1000U);
  EXPECT_EQ(ParseSpieceModel(bytes)->pieces.size(), 420U);
  for (size_t size = 0; size < 2000; ++size) {
    const absl::Status status = ParseSpieceModel(bytes.substr(0, size)).status();
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace tessera
