#include "client/client_flags.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <map>
#include <utility>

#include "common/base/status_macros.h"
#include "common/tls/tls_files.h"

namespace tessera {
namespace {

struct ConnectionFlags {
  std::string server = "127.0.0.1:50051";
  bool tls = false;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  double deadline_s = 0;
  int max_tries = 5;
};

struct GenerateFlags {
  std::string prompt;
  std::optional<std::string> prompt_2, negative_prompt, negative_prompt_2;
  std::optional<double> true_cfg, guidance;
  std::optional<int> width, height, steps, images, max_text_tokens, sync_steps, refresh_every;
  std::optional<uint64_t> seed;
  std::string text_mode;
  std::string request_id;
  bool allow_ranks_change = false;
  std::string output = "tessera.png";
  std::string picture = "auto";
};

void AddConnection(CLI::App& app, ConnectionFlags& flags) {
  app.add_option("--server", flags.server, "HOST:PORT of tessera-server")->capture_default_str();
  app.add_flag("--tls", flags.tls, "Encrypt, trusting the system's certificate authorities");
  app.add_option("--tls-ca", flags.tls_ca, "PEM file: encrypt, trusting this authority");
  CLI::Option* const cert =
      app.add_option("--tls-cert", flags.tls_cert, "PEM file: this client's certificate");
  CLI::Option* const key = app.add_option("--tls-key", flags.tls_key, "PEM file: its private key");
  cert->needs(key);
  key->needs(cert);
  app.add_option("--deadline", flags.deadline_s, "Seconds for the whole call; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--tries", flags.max_tries, "Of a call that may succeed later")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

void AddGenerate(CLI::App& app, GenerateFlags& flags) {
  app.add_option("--prompt,prompt", flags.prompt, "What to show")->required();
  app.add_option("--prompt-2", flags.prompt_2, "A text of its own for T5 [the prompt]");
  app.add_option("--negative-prompt", flags.negative_prompt, "What not to show; with --true-cfg");
  app.add_option("--negative-prompt-2", flags.negative_prompt_2, "The same, for T5");
  app.add_option("--true-cfg", flags.true_cfg, "True guidance; above 1 every step runs twice [1]");
  app.add_option("--width", flags.width, "Pixels, a multiple of 16 [the model's]");
  app.add_option("--height", flags.height, "Pixels, a multiple of 16 [the model's]");
  app.add_option("--steps", flags.steps, "Denoising steps [the model's]");
  app.add_option("--guidance", flags.guidance, "Embedded guidance [the model's]");
  app.add_option("--seed", flags.seed, "Same seed, same picture [drawn by the server]");
  app.add_option("--images", flags.images, "Pictures to make [1]");
  app.add_option("--max-text-tokens", flags.max_text_tokens, "T5 tokens [the model's]");
  app.add_option("--sync-steps", flags.sync_steps, "Leading exact steps [the server's]");
  app.add_option("--refresh-every", flags.refresh_every, "Steps between exchanges [the server's]");
  app.add_option("--text-mode", flags.text_mode, "Of text tokens [the server's]")
      ->check(CLI::IsMember({"split", "replicated"}));
  app.add_option("--request-id", flags.request_id,
                 "Calls with the same id are one job [drawn, where a call may be tried again]");
  app.add_flag("--allow-ranks-change", flags.allow_ranks_change,
               "After a lost worker, go on with another number of them");
  app.add_option("-o,--output", flags.output, "x.png; several pictures: x-0.png, x-1.png ...")
      ->capture_default_str();
  app.add_option("--picture", flags.picture, "How to draw it in the terminal")
      ->check(CLI::IsMember({"auto", "blocks", "kitty", "iterm", "none"}))
      ->capture_default_str();
}

v1::GenerateImageRequest MakeRequest(const GenerateFlags& flags) {
  v1::GenerateImageRequest request;
  request.set_prompt(flags.prompt);
  if (flags.prompt_2) request.set_prompt_2(*flags.prompt_2);
  if (flags.negative_prompt) request.set_negative_prompt(*flags.negative_prompt);
  if (flags.negative_prompt_2) request.set_negative_prompt_2(*flags.negative_prompt_2);
  if (flags.true_cfg) request.set_true_cfg_scale(*flags.true_cfg);
  if (flags.width) request.set_width(*flags.width);
  if (flags.height) request.set_height(*flags.height);
  if (flags.steps) request.set_num_inference_steps(*flags.steps);
  if (flags.guidance) request.set_guidance_scale(*flags.guidance);
  if (flags.seed) request.set_seed(*flags.seed);
  if (flags.images) request.set_num_images(*flags.images);
  if (flags.max_text_tokens) request.set_max_sequence_length(*flags.max_text_tokens);
  if (flags.sync_steps) request.set_sync_steps(*flags.sync_steps);
  if (flags.refresh_every) request.set_refresh_every(*flags.refresh_every);
  if (flags.text_mode == "split") request.set_text_mode(v1::TEXT_MODE_SPLIT);
  if (flags.text_mode == "replicated") request.set_text_mode(v1::TEXT_MODE_REPLICATED);
  request.set_request_id(flags.request_id);
  request.set_allow_ranks_change(flags.allow_ranks_change);
  return request;
}

std::optional<PictureStyle> ParseStyle(const std::string& name) {
  static const std::map<std::string, PictureStyle> styles = {{"blocks", PictureStyle::kHalfBlocks},
                                                             {"kitty", PictureStyle::kKitty},
                                                             {"iterm", PictureStyle::kIterm},
                                                             {"none", PictureStyle::kNone}};
  const auto found = styles.find(name);
  return found == styles.end() ? std::nullopt : std::optional(found->second);
}

absl::StatusOr<ImageClientOptions> MakeConnection(const ConnectionFlags& flags) {
  ImageClientOptions options;
  options.server = flags.server;
  options.deadline_s = flags.deadline_s;
  options.max_tries = flags.max_tries;
  if (!flags.tls && flags.tls_ca.empty() && flags.tls_cert.empty()) return options;
  ClientTls& tls = options.tls.emplace();
  if (!flags.tls_ca.empty()) {
    TESSERA_ASSIGN_OR_RETURN(tls.root_certificates, ReadCertificates("--tls-ca", flags.tls_ca));
  }
  if (!flags.tls_cert.empty()) {
    TESSERA_ASSIGN_OR_RETURN(PemIdentity identity, ReadPemIdentity(flags.tls_cert, flags.tls_key));
    tls.certificate_chain = std::move(identity.certificate_chain);
    tls.private_key = std::move(identity.private_key);
  }
  return options;
}

}  // namespace

absl::StatusOr<ClientFlags> ParseClientFlags(int argc, const char* const* argv) {
  ConnectionFlags connection;
  GenerateFlags generate;
  CLI::App app("tessera: pictures from a tessera-server", "tessera");
  app.set_version_flag("--version", TESSERA_VERSION);
  app.require_subcommand(1);
  CLI::App* const generate_app = app.add_subcommand("generate", "Make pictures from a text");
  CLI::App* const info_app = app.add_subcommand("info", "Model, limits, groups and queue");
  CLI::App* const health_app = app.add_subcommand("health", "Exit code 0 only while SERVING");
  for (CLI::App* const command : {generate_app, info_app, health_app})
    AddConnection(*command, connection);
  AddGenerate(*generate_app, generate);
  bool alive = false;
  health_app->add_flag("--alive", alive,
                       "Exit code 0 while it answers, whether or not it can serve");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  ClientFlags flags;
  if (generate_app->parsed()) flags.command = ClientCommand::kGenerate;
  if (health_app->parsed()) flags.command = alive ? ClientCommand::kAlive : ClientCommand::kHealth;
  TESSERA_ASSIGN_OR_RETURN(flags.connection, MakeConnection(connection));
  flags.request = MakeRequest(generate);
  flags.output = generate.output;
  flags.picture = ParseStyle(generate.picture);
  return flags;
}

}  // namespace tessera
