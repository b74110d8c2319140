#include "worker/weights/safetensors_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/golden.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/worker/weights/safetensors_bytes.h"
#include "worker/weights/safetensors_writer.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using testing::SafetensorsBytes;
using testing::TempDir;

class SafetensorsRoundTripTest : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(SafetensorsRoundTripTest, KeepsEveryBit) {
  const TempDir dir;
  const at::Tensor written = at::arange(24).reshape({2, 3, 4}).to(GetParam());
  ASSERT_TRUE(WriteSafetensors(dir / "x.safetensors", {{"t", written}}).ok());
  const auto file = SafetensorsFile::Open(dir / "x.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  const at::Tensor read = file->Read("t").value();
  EXPECT_EQ(read.scalar_type(), GetParam());
  EXPECT_EQ(read.sizes(), written.sizes());
  EXPECT_TRUE(at::equal(read.view(at::kByte), written.view(at::kByte)));
}

INSTANTIATE_TEST_SUITE_P(AllDtypes, SafetensorsRoundTripTest,
                         ::testing::Values(at::kDouble, at::kFloat, at::kHalf, at::kBFloat16,
                                           at::kLong, at::kInt, at::kShort, at::kChar, at::kByte,
                                           at::kBool, at::kFloat8_e4m3fn, at::kFloat8_e5m2),
                         [](const auto& param_info) { return SafetensorsDtype(param_info.param); });

TEST(SafetensorsFileTest, ViewsTheMappingWithoutACopyAndKeepsItAlive) {
  const TempDir dir;
  const at::Tensor written = at::rand({64});
  ASSERT_TRUE(WriteSafetensors(dir / "x.safetensors", {{"t", written}}).ok());
  at::Tensor view;
  {
    const auto file = SafetensorsFile::Open(dir / "x.safetensors");
    view = file->Read("t").value();
    EXPECT_EQ(view.const_data_ptr(), file->file().bytes().data() + file->tensors().at("t").begin);
    EXPECT_EQ(view.const_data_ptr(), file->Read("t")->const_data_ptr());
  }
  EXPECT_TRUE(at::equal(view, written));
}

TEST(SafetensorsFileTest, CopiesWhatIsNotAligned) {
  const TempDir dir;
  const float value = 1.5;
  // The header's 67 bytes put the data at an odd place.
  std::string json = R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  json.resize(67, ' ');
  const std::string path = dir.Write(
      "x.safetensors",
      SafetensorsBytes(json, std::string(reinterpret_cast<const char*>(&value), sizeof(value))));
  const at::Tensor tensor = SafetensorsFile::Open(path)->Read("t").value();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % sizeof(float), 0);
  EXPECT_EQ(tensor.item<float>(), 1.5F);
}

TEST(SafetensorsFileTest, MakesBooleansOfAnyByte) {
  const TempDir dir;
  const std::string path =
      dir.Write("x.safetensors",
                SafetensorsBytes(R"({"t":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})",
                                 std::string("\0\x02\xff", 3)));
  const at::Tensor tensor = SafetensorsFile::Open(path)->Read("t").value();
  EXPECT_TRUE(at::equal(tensor.view(at::kByte), at::tensor({0, 1, 1}, at::kByte)));
}

TEST(SafetensorsFileTest, ReadsScalarsAndEmptyTensors) {
  const TempDir dir;
  ASSERT_TRUE(WriteSafetensors(dir / "x.safetensors",
                               {{"empty", at::empty({3, 0})}, {"scalar", at::scalar_tensor(2.5)}})
                  .ok());
  const auto file = SafetensorsFile::Open(dir / "x.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->Read("empty")->sizes(), at::IntArrayRef({3, 0}));
  EXPECT_EQ(file->Read("scalar")->item<float>(), 2.5F);
}

TEST(SafetensorsFileTest, NamesFileAndTensorThatCannotBeRead) {
  const TempDir dir;
  const std::string path =
      dir.Write("x.safetensors",
                SafetensorsBytes(R"({"t":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", "x"));
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->Read("t").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(file->Read("t").status().ToString(), HasSubstr(path + ": tensor 't'"));
  EXPECT_EQ(file->Read("u").status().code(), absl::StatusCode::kNotFound);
}

TEST(SafetensorsFileTest, NamesTheFileThatIsMissingOrMalformed) {
  const TempDir dir;
  const std::string missing = dir / "none.safetensors";
  EXPECT_EQ(SafetensorsFile::Open(missing).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(SafetensorsFile::Open(missing).status().ToString(), HasSubstr(missing));
  const std::string malformed = dir.Write("bad.safetensors", SafetensorsBytes("[]"));
  EXPECT_THAT(SafetensorsFile::Open(malformed).status().ToString(), HasSubstr(malformed));
}

TEST(SafetensorsFileTest, RefusesARealFileCutAnywhere) {
  const TempDir dir;
  const std::string source = testing::ReferenceDir() + "/golden/lora_peft.safetensors";
  const auto size = std::filesystem::file_size(source);
  for (const auto kept : {size - 1, size / 2, size / 10, uintmax_t{2000}, uintmax_t{8}}) {
    std::filesystem::copy_file(source, dir / "cut.safetensors",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(dir / "cut.safetensors", kept);
    EXPECT_EQ(SafetensorsFile::Open(dir / "cut.safetensors").status().code(),
              absl::StatusCode::kDataLoss)
        << kept;
  }
}

TEST(SafetensorsFileTest, ReadsEveryTensorOfTheReferenceFiles) {
  int tensors = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(testing::ReferenceDir())) {
    if (entry.path().extension() != ".safetensors") continue;
    const auto file = SafetensorsFile::Open(entry.path().string());
    ASSERT_TRUE(file.ok()) << file.status();
    for (const auto& [name, unused] : file->tensors()) {
      EXPECT_TRUE(file->Read(name).ok()) << name;
      ++tensors;
    }
  }
  EXPECT_GT(tensors, 600);
}

TEST(SafetensorsWriterTest, AlignsEachTensorToItsElementSize) {
  const TempDir dir;
  ASSERT_TRUE(WriteSafetensors(dir / "x.safetensors", {{"a", at::ones({3}, at::kByte)},
                                                       {"b", at::ones({3}, at::kDouble)},
                                                       {"c", at::ones({3}, at::kHalf)}})
                  .ok());
  const auto file = SafetensorsFile::Open(dir / "x.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  for (const auto& [name, entry] : file->tensors()) {
    EXPECT_EQ(entry.begin % c10::elementSize(*entry.type), 0) << name;
  }
}

TEST(SafetensorsWriterTest, RefusesAnotherTensorThanPromised) {
  const TempDir dir;
  auto writer = SafetensorsWriter::Create(dir / "x", {{"t", at::kFloat, {2}}}, {});
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ(writer->Finish().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(writer->Append(at::ones({3})).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(writer->Append(at::ones({2}, at::kHalf)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(writer->Append(at::ones({2})).ok());
  EXPECT_EQ(writer->Append(at::ones({2})).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(writer->Finish().ok());
}

TEST(SafetensorsWriterTest, ReportsAFullDisk) {
  const absl::Status status = WriteSafetensors("/dev/full", {{"t", at::ones({2})}});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.ToString(), HasSubstr("/dev/full"));
}

}  // namespace
}  // namespace tessera
