#include <filesystem>
#include <map>

#include "common/model/checkpoint_folder.h"
#include "tests/golden/pipeline/fp8_checkpoints.h"
#include "tests/golden/pipeline/pipeline_run.h"
#include "worker/comm/single_communicator.h"
#include "worker/weights/safetensors_file.h"
#include "worker/weights/safetensors_writer.h"

namespace tessera {
namespace {

using testing::Checkpoint;
using testing::Denoise;
using testing::DevRequest;
using testing::InProcessGroup;
using testing::LoadPipeline;
using testing::Prepare;
using testing::RotatingRequest;
using testing::RunTrail;

struct Layers {
  std::string name;
  LayerSet fp8;
  double least_db;  // over both checkpoints
};

std::vector<Layers> LayerChoices() {
  return {{"image in", {LayerClass::kImageIn}, 45},
          {"double qkv", {LayerClass::kDoubleQkv}, 45},
          {"double out", {LayerClass::kDoubleOut}, 45},
          {"double MLP in", {LayerClass::kDoubleMlpIn}, 45},
          {"double MLP out", {LayerClass::kDoubleMlpOut}, 45},
          {"single in", {LayerClass::kSingleIn}, 45},
          {"single out", {LayerClass::kSingleOut}, 45},
          {"final", {LayerClass::kFinal}, 45},
          {"default", DefaultFp8Layers(), 45}};
}

// The final latents of a job by the transformer of a checkpoint.
at::Tensor Denoised(const std::string& dir, const WeightOptions& options, const LayerSet& fp8,
                    DenoiseJob job) {
  const absl::StatusOr<FluxTransformer> transformer =
      FluxTransformer::Load(CheckpointFolder(dir), options, fp8);
  EXPECT_TRUE(transformer.ok()) << transformer.status();
  SingleCommunicator communicator;
  job.latents = job.latents.clone();
  int step = 0;
  std::vector<double> step_ms;
  Denoiser(*transformer).Run(job, communicator, {}, step, step_ms);
  return job.latents;
}

class Fp8Test : public ::testing::TestWithParam<Checkpoint> {};

// The final latents with one class of layers in FP8 at a time, against none. Prints a table.
TEST_P(Fp8Test, EachClassOfLayersStaysNear) {
  const c10::InferenceMode inference;
  const auto pipeline = LoadPipeline(GetParam().dir);
  const DenoiseJob job = Prepare(*pipeline, GetParam().request);
  const auto denoise = [&](const LayerSet& fp8) { return Denoised(GetParam().dir, {}, fp8, job); };
  const at::Tensor expected = denoise({});
  for (const Layers& layers : LayerChoices()) {
    const at::Tensor actual = denoise(layers.fp8);
    EXPECT_FALSE(at::equal(expected, actual)) << layers.name;
    const double psnr = testing::Psnr(expected, actual);
    std::printf("| %s | %s | %.1f dB |\n", GetParam().name.c_str(), layers.name.c_str(), psnr);
    EXPECT_GE(psnr, layers.least_db) << layers.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Fp8Test,
                         ::testing::ValuesIn(testing::Checkpoints(DevRequest())),
                         [](const auto& test) { return test.param.name; });

at::Tensor Latents(int ranks, const ImageRequest& request, const std::string& dtype) {
  std::vector<std::unique_ptr<FluxPipeline>> pipelines;
  for (int rank = 0; rank < ranks; ++rank) {
    pipelines.push_back(LoadPipeline(testing::TinyFluxDir(), dtype));
  }
  const auto group = InProcessGroup(ranks);
  return RunRanks(group, [&](Communicator& communicator) {
    FluxPipeline& pipeline = *pipelines[communicator.rank()];
    return Denoise(pipeline, Prepare(pipeline, request), communicator).latents[-1];
  })[0];
}

// Rows have scales of their own, so that cutting them into chunks changes no quantised value.
TEST(Fp8RanksTest, SynchronisedRanksAreNearOneRank) {
  ImageRequest request = RotatingRequest();
  request.refresh_every = 1;
  const at::Tensor one = Latents(1, request, "float32+fp8");
  for (int ranks = 2; ranks <= 3; ++ranks) {
    EXPECT_GE(testing::Psnr(one, Latents(ranks, request, "float32+fp8")), 40) << ranks << " ranks";
  }
}

TEST(Fp8RanksTest, SameBytesTwice) {
  for (const char* dtype : {"float32+fp8", "bfloat16+fp8"}) {
    const at::Tensor first = Latents(3, RotatingRequest(), dtype);
    EXPECT_TRUE(at::equal(first, Latents(3, RotatingRequest(), dtype))) << dtype;
  }
}

using Tensors = std::map<std::string, at::Tensor>;

// How a tensor is stored: as it is, quantised with its scales beside it, or what these multiply to.
enum class Form { kPlain, kFp8, kDequantised };
// Of the matrices of the layers that are FP8 by default, and of the other ones.
struct Forms {
  Form fp8_layers, others;
};

bool IsOfAnFp8Layer(const std::string& name) {
  return name.find("transformer_blocks.") != std::string::npos &&
         name.find("norm") == std::string::npos;
}

// tiny-flux's transformer in other forms.
Tensors TinyTransformer(const Forms& forms) {
  Tensors result;
  for (const auto& entry :
       std::filesystem::directory_iterator(testing::TinyFluxDir() + "/transformer")) {
    if (entry.path().extension() != ".safetensors") continue;
    const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(entry.path().string());
    for (const auto& [name, info] : file->tensors()) {
      const at::Tensor tensor = *file->Read(name);
      const Form form = tensor.dim() != 2      ? Form::kPlain
                        : IsOfAnFp8Layer(name) ? forms.fp8_layers
                                               : forms.others;
      const Fp8Rows rows = QuantizeRows(tensor, {});
      result[name] = form == Form::kPlain ? tensor
                     : form == Form::kFp8 ? rows.values
                                          : Dequantized(rows);
      if (form == Form::kFp8) result[name + "_scale"] = rows.scales;
    }
  }
  return result;
}

// Checkpoints whose transformer is stored in FP8, in whole or in part.
class StoredFp8GoldenTest : public ::testing::Test {
 protected:
  at::Tensor DenoisedBy(const Forms& forms, const LayerSet& fp8) const {
    const testing::CheckpointCopy copy;
    const std::string folder = copy.dir() + "/transformer";
    std::filesystem::remove(folder + "/diffusion_pytorch_model.safetensors.index.json");
    EXPECT_TRUE(
        WriteSafetensors(folder + "/diffusion_pytorch_model.safetensors", TinyTransformer(forms))
            .ok());
    return Denoised(copy.dir(), {.cache_dir = copy.dir() + "/cache"}, fp8, job_);
  }

  const c10::InferenceMode inference_;
  const DenoiseJob job_ = Prepare(*LoadPipeline(testing::TinyFluxDir()), DevRequest());
};

TEST_F(StoredFp8GoldenTest, EqualsQuantisingAtLoad) {
  EXPECT_TRUE(at::equal(DenoisedBy({Form::kPlain, Form::kPlain}, DefaultFp8Layers()),
                        DenoisedBy({Form::kFp8, Form::kPlain}, DefaultFp8Layers())));
}

TEST_F(StoredFp8GoldenTest, EqualsTheDequantisedModelWithoutFp8) {
  EXPECT_TRUE(at::equal(DenoisedBy({Form::kDequantised, Form::kDequantised}, {}),
                        DenoisedBy({Form::kFp8, Form::kFp8}, {})));
}

TEST_F(StoredFp8GoldenTest, DequantisesLayersThatStayInTheWorkingType) {
  EXPECT_TRUE(at::equal(DenoisedBy({Form::kFp8, Form::kDequantised}, DefaultFp8Layers()),
                        DenoisedBy({Form::kFp8, Form::kFp8}, DefaultFp8Layers())));
}

TEST(Fp8PipelineTest, MakesAPictureInBfloat16) {
  const auto pipeline = LoadPipeline(testing::TinyFluxDir(), "bfloat16+fp8");
  EXPECT_EQ(pipeline->dtype(), "bfloat16+fp8");
  SingleCommunicator communicator;
  const absl::StatusOr<ImageResult> result = pipeline->Generate(DevRequest(), communicator, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->pictures.size(), 1u);
}

}  // namespace
}  // namespace tessera
