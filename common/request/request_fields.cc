#include "common/request/request_fields.h"

namespace tessera {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;
constexpr RealNumberIn kGuidance = {0, 100};
constexpr int64_t kMaxScheduleSteps = 1000;

std::optional<double> One(const DefaultSources&) { return 1; }

std::optional<double> DrawnSeed(const DefaultSources& sources) { return sources.drawn_seed; }

template <auto member>
std::optional<double> OfModel(const DefaultSources& sources) {
  if (sources.model == nullptr) return std::nullopt;
  return sources.model->*member;
}

template <auto member>
std::optional<double> OfServer(const DefaultSources& sources) {
  if (sources.server == nullptr) return std::nullopt;
  return sources.server->*member;
}

constexpr RequestField kFields[] = {
    {.name = "prompt", .allowed = ValidText{}, .flag = "--prompt,prompt", .help = "What to show"},
    {.name = "prompt_2",
     .allowed = ValidText{},
     .flag = "--prompt-2",
     .help = "A text of its own for T5",
     .default_in_words = "the prompt"},
    {.name = "negative_prompt",
     .allowed = ValidText{},
     .flag = "--negative-prompt",
     .help = "What not to show; takes effect with --true-cfg",
     .default_in_words = "none"},
    {.name = "negative_prompt_2",
     .allowed = ValidText{},
     .flag = "--negative-prompt-2",
     .help = "A negative text of its own for T5",
     .default_in_words = "the negative prompt"},
    {.name = "seed",
     .default_value = DrawnSeed,
     .png_place = PngPlace::kSettings,
     .png_keyword = "seed",
     .flag = "--seed",
     .help = "The same seed and settings give the same picture",
     .default_in_words = "drawn by the server"},
    {.name = "num_inference_steps",
     .allowed = UpToModelLimit{&ModelLimits::max_inference_steps},
     .default_value = OfModel<&ModelDefaults::num_inference_steps>,
     .png_place = PngPlace::kSettings,
     .png_keyword = "steps",
     .flag = "--steps",
     .help = "Denoising steps",
     .default_in_words = "the model's"},
    {.name = "guidance_scale",
     .allowed = kGuidance,
     .default_value = OfModel<&ModelDefaults::guidance_scale>,
     .png_place = PngPlace::kSettings,
     .png_keyword = "guidance",
     .flag = "--guidance",
     .help = "Embedded guidance",
     .default_in_words = "the model's"},
    {.name = "true_cfg_scale",
     .allowed = kGuidance,
     .default_value = One,
     .png_place = PngPlace::kSettings,
     .png_keyword = "true_cfg",
     .flag = "--true-cfg",
     .help = "True guidance; above 1 every step runs twice",
     .default_in_words = "1"},
    {.name = "width",
     .allowed = PictureSide{},
     .default_value = OfModel<&ModelDefaults::width>,
     .flag = "--width",
     .help = "Pixels, a multiple of 16",
     .default_in_words = "the model's"},
    {.name = "height",
     .allowed = PictureSide{},
     .default_value = OfModel<&ModelDefaults::height>,
     .flag = "--height",
     .help = "Pixels, a multiple of 16",
     .default_in_words = "the model's"},
    {.name = "num_images",
     .allowed = UpToModelLimit{&ModelLimits::max_images},
     .default_value = One,
     .flag = "--images",
     .help = "Pictures to make",
     .default_in_words = "1"},
    {.name = "max_sequence_length",
     .allowed = UpToModelLimit{&ModelLimits::max_sequence_length},
     .default_value = OfModel<&ModelDefaults::max_sequence_length>,
     .flag = "--max-text-tokens",
     .help = "T5 tokens",
     .default_in_words = "the model's"},
    {.name = "sync_steps",
     .allowed = WholeNumberIn{1, kMaxScheduleSteps},
     .default_value = OfServer<&RequestDefaults::sync_steps>,
     .png_place = PngPlace::kSharing,
     .png_keyword = "sync_steps",
     .flag = "--sync-steps",
     .help = "Leading exact steps",
     .default_in_words = "the server's"},
    {.name = "refresh_every",
     .allowed = WholeNumberIn{0, kMaxScheduleSteps},
     .default_value = OfServer<&RequestDefaults::refresh_every>,
     .png_place = PngPlace::kSharing,
     .png_keyword = "refresh_every",
     .flag = "--refresh-every",
     .help = "Steps from one exchange to the next; 0: no exchange after the leading steps",
     .default_in_words = "the server's"},
    {.name = "text_mode",
     .default_value = OfServer<&RequestDefaults::text_mode>,
     .png_place = PngPlace::kSharing,
     .png_keyword = "text_mode",
     .flag = "--text-mode",
     .help = "How ranks share the text tokens",
     .default_in_words = "the server's"},
    {.name = "request_id",
     .allowed = ValidText{kMaxRequestIdBytes},
     .flag = "--request-id",
     .help = "Calls with the same id are one job",
     .default_in_words = "drawn, where a call may be tried again"},
    {.name = "allow_ranks_change",
     .flag = "--allow-ranks-change",
     .help = "After a lost worker, go on with another number of them",
     .default_in_words = "wait for as many"},
};

}  // namespace

std::span<const RequestField> RequestFields() { return kFields; }

}  // namespace tessera
