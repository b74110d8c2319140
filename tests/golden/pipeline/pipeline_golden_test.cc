#include <filesystem>

#include "tests/golden/pipeline/pipeline_run.h"
#include "worker/comm/single_communicator.h"
#include "worker/sampling/latents.h"
#include "worker/vae/image.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using testing::Denoise;
using testing::DevRequest;
using testing::GoldenBf16;
using testing::LoadPipeline;
using testing::MatchesGolden;
using testing::Prepare;
using testing::Prompts;
using testing::RunTrail;

class PipelineGoldenTest : public ::testing::Test {
 protected:
  RunTrail Run(FluxPipeline& pipeline, const ImageRequest& request) {
    return Denoise(pipeline, Prepare(pipeline, request), communicator_);
  }

  // Latents after each step, the decoded picture and its pixels.
  void ExpectGoldenRun(const std::string& name, FluxPipeline& pipeline,
                       const ImageRequest& request) {
    const RunTrail trail = Run(pipeline, request);
    EXPECT_TRUE(MatchesGolden(name + "/latents", trail.latents));
    const c10::InferenceMode inference;
    const at::Tensor image = pipeline.Decode(trail.latents[-1], request.height, request.width);
    EXPECT_TRUE(MatchesGolden(name + "/image", image));
    EXPECT_TRUE(MatchesGolden(name + "/pixels", ToRgb8(image)));
  }

  SingleCommunicator communicator_;
};

TEST_F(PipelineGoldenTest, Dev64x64) {
  ExpectGoldenRun("run/dev_64x64", *LoadPipeline(testing::TinyFluxDir()), DevRequest());
}

TEST_F(PipelineGoldenTest, ASingleFileBesideAnIndexIsNotRead) {
  const CheckpointCopy checkpoint;
  const CheckpointCopy stale;
  stale.AlterTensor("transformer", "proj_out.weight");
  stale.RemoveTensors("transformer", "no tensor");  // makes one file of the shards
  const std::string name = "/transformer/diffusion_pytorch_model.safetensors";
  std::filesystem::copy_file(stale.dir() + name, checkpoint.dir() + name);
  ExpectGoldenRun("run/dev_64x64", *LoadPipeline(checkpoint.dir()), DevRequest());
}

TEST_F(PipelineGoldenTest, Dev96x128) {
  ImageRequest request = DevRequest();
  request.height = 96;
  request.width = 128;
  ExpectGoldenRun("run/dev_96x128", *LoadPipeline(testing::TinyFluxDir()), request);
}

TEST_F(PipelineGoldenTest, SchnellWithoutGuidanceAndWithAStaticShift) {
  const CheckpointCopy schnell;
  schnell.EditJson("transformer/config.json", R"({"guidance_embeds": false})");
  schnell.EditJson("scheduler/scheduler_config.json",
                   R"({"use_dynamic_shifting": false, "shift": 1.0})");
  schnell.RemoveTensors("transformer", "time_text_embed.guidance_embedder.");
  ImageRequest request = DevRequest();
  request.num_inference_steps = 4;
  request.guidance_scale = 0;
  request.max_sequence_length = 256;
  request.seed = 0;
  ExpectGoldenRun("run/schnell_64x64", *LoadPipeline(schnell.dir()), request);
}

TEST_F(PipelineGoldenTest, TrueCfgWithPrompt2AndANegativePrompt) {
  ImageRequest request = DevRequest();
  request.prompt_2 = Prompts()[3];
  request.negative_prompt = "blurry, low quality";
  request.true_cfg_scale = 4;
  ExpectGoldenRun("run/cfg_64x64", *LoadPipeline(testing::TinyFluxDir()), request);
}

TEST_F(PipelineGoldenTest, NegativePromptHasNoEffectAtScaleOne) {
  const auto pipeline = LoadPipeline(testing::TinyFluxDir());
  ImageRequest request = DevRequest();
  request.negative_prompt = "blurry, low quality";
  EXPECT_TRUE(MatchesGolden("run/dev_64x64/latents", Run(*pipeline, request).latents));
}

// A request has one prompt; the transformer and the loop take a batch of several all the same.
TEST_F(PipelineGoldenTest, BatchOfTwoPromptsWithTwoPicturesEach) {
  const auto pipeline = LoadPipeline(testing::TinyFluxDir());
  ImageRequest request = DevRequest();
  request.num_inference_steps = 3;
  request.num_images = 4;
  DenoiseJob job = Prepare(*pipeline, request);
  request.prompt = Prompts()[10];
  const FluxConditioning other = Prepare(*pipeline, request).positive;
  const auto both = [](const at::Tensor& a, const at::Tensor& b, int64_t dim) {
    return at::cat({a, a, b, b}, dim);
  };
  job.positive.context = both(job.positive.context, other.context, 0);
  job.positive.modulation = both(job.positive.modulation, other.modulation, 1);
  EXPECT_TRUE(MatchesGolden("run/batch_64x64/latents",
                            Denoise(*pipeline, std::move(job), communicator_).latents));
}

TEST_F(PipelineGoldenTest, PicturesWithSeedsOfTheirOwn) {
  const auto pipeline = LoadPipeline(testing::TinyFluxDir());
  ImageRequest request = DevRequest();
  request.num_inference_steps = 3;
  DenoiseJob job = Prepare(*pipeline, request);
  request.seed = 7;
  job.latents = at::cat({Prepare(*pipeline, request).latents, job.latents});
  EXPECT_TRUE(MatchesGolden("run/seeds_64x64/latents",
                            Denoise(*pipeline, std::move(job), communicator_).latents[-1]));
}

// Pixels of two correct bfloat16 runs differ; the golden README asks for 45 dB of the final
// latents.
TEST_F(PipelineGoldenTest, Bfloat16RunIsNear) {
  const auto pipeline = LoadPipeline(testing::TinyFluxDir(), "bfloat16");
  const RunTrail trail = Run(*pipeline, DevRequest());
  const double psnr = testing::Psnr(GoldenBf16("run/dev_64x64/latents")[-1], trail.latents[-1]);
  std::printf("| bfloat16 final latents | %.1f dB |\n", psnr);
  EXPECT_GE(psnr, 45.0);
}

TEST_F(PipelineGoldenTest, Float16RunIsNearFloat32FromTheSameNoise) {
  const auto pipeline = LoadPipeline(testing::TinyFluxDir(), "float16");
  const auto exact = LoadPipeline(testing::TinyFluxDir());
  DenoiseJob job = Prepare(*exact, DevRequest());
  job.latents = Prepare(*pipeline, DevRequest()).latents.to(at::kFloat);
  const RunTrail expected = Denoise(*exact, std::move(job), communicator_);
  const double psnr =
      testing::Psnr(expected.latents[-1], Run(*pipeline, DevRequest()).latents[-1].to(at::kFloat));
  std::printf("| float16 against float32, final latents | %.1f dB |\n", psnr);
  EXPECT_GE(psnr, 45.0);
}

// One tensor of each part of the checkpoint.
class AlteredPartTest : public PipelineGoldenTest,
                        public ::testing::WithParamInterface<std::pair<const char*, const char*>> {
};

TEST_P(AlteredPartTest, IsSeenInThePicture) {
  const CheckpointCopy copy;
  copy.AlterTensor(GetParam().first, GetParam().second);
  const auto pipeline = LoadPipeline(copy.dir());
  const RunTrail trail = Run(*pipeline, DevRequest());
  const c10::InferenceMode inference;
  EXPECT_FALSE(MatchesGolden("run/dev_64x64/image", pipeline->Decode(trail.latents[-1], 64, 64)));
}

INSTANTIATE_TEST_SUITE_P(
    Parts, AlteredPartTest,
    ::testing::Values(std::pair("text_encoder", "text_model.final_layer_norm.weight"),
                      std::pair("text_encoder_2", "encoder.final_layer_norm.weight"),
                      std::pair("transformer", "single_transformer_blocks.2.attn.to_q.weight"),
                      std::pair("vae", "decoder.mid_block.resnets.1.conv2.weight")),
    [](const auto& test) { return test.param.first; });

}  // namespace
}  // namespace tessera
