#include "client/image_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

using ::testing::HasSubstr;

v1::ImageChunk Chunk(int image_index, const std::string& data, bool last) {
  v1::ImageChunk chunk;
  chunk.set_image_index(image_index);
  chunk.set_data(data);
  chunk.set_last(last);
  return chunk;
}

TEST(ImageAssemblerTest, PutsPicturesTogetherInOrder) {
  ImageAssembler assembler;
  for (const v1::ImageChunk& chunk :
       {Chunk(0, "ab", false), Chunk(0, "c", true), Chunk(1, "d", true)}) {
    ASSERT_TRUE(assembler.Add(chunk).ok());
  }
  EXPECT_THAT(std::move(assembler).Finish().value(), testing::ElementsAre("abc", "d"));
}

TEST(ImageAssemblerTest, NoChunksAreNoPictures) {
  EXPECT_TRUE(ImageAssembler().Finish().value().empty());
}

TEST(ImageAssemblerTest, RefusesAPieceOfAnotherPicture) {
  for (const int other : {-1, 1}) {
    ImageAssembler assembler;
    ASSERT_TRUE(assembler.Add(Chunk(0, "ab", false)).ok());
    const absl::Status status = assembler.Add(Chunk(other, "c", true));
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(status.message(), HasSubstr("expected picture 0"));
  }
}

TEST(ImageAssemblerTest, RefusesToStartInTheMiddle) {
  ImageAssembler assembler;
  EXPECT_THAT(assembler.Add(Chunk(1, "c", true)).message(), HasSubstr("expected picture 0"));
}

TEST(ImageAssemblerTest, RefusesAPictureThatHasNoEnd) {
  ImageAssembler assembler;
  ASSERT_TRUE(assembler.Add(Chunk(0, "ab", true)).ok());
  ASSERT_TRUE(assembler.Add(Chunk(1, "ab", false)).ok());
  EXPECT_THAT(std::move(assembler).Finish().status().message(), HasSubstr("within picture 1"));
}

}  // namespace
}  // namespace tessera
