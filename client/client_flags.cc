#include "client/client_flags.h"

#include <CLI/CLI.hpp>
#include <map>
#include <utility>

#include "client/request_flags.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "common/flags/strict_flags.h"
#include "common/request/request_fields.h"

namespace tessera {
namespace {

constexpr size_t kMaxPemBytes = size_t{1} << 20;

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
  v1::GenerateImageRequest request;
  std::string output = "tessera.png";
  std::string picture = "auto";
};

void AddConnection(CLI::App& app, ConnectionFlags& flags) {
  app.add_option("--server", flags.server, "HOST:PORT of tessera-server")
      ->check(NotEmpty())
      ->capture_default_str();
  app.add_flag("--tls", flags.tls, "Encrypt, trusting the system's certificate authorities");
  app.add_option("--tls-ca", flags.tls_ca, "PEM file: encrypt, trusting this authority")
      ->check(NotEmpty());
  CLI::Option* const cert =
      app.add_option("--tls-cert", flags.tls_cert, "PEM file: this client's certificate")
          ->check(NotEmpty());
  CLI::Option* const key =
      app.add_option("--tls-key", flags.tls_key, "PEM file: its private key")->check(NotEmpty());
  cert->needs(key);
  key->needs(cert);
  app.add_option("--deadline", flags.deadline_s, "Seconds for the whole call; 0: none")
      ->transform(NumberIn<double>(0))
      ->capture_default_str();
  app.add_option("--tries", flags.max_tries, "Of a call that may succeed later")
      ->transform(NumberIn<int>(1, 1000))
      ->capture_default_str();
}

void AddGenerate(CLI::App& app, GenerateFlags& flags) {
  AddRequestFlags(app, flags.request, RequestFields());
  app.add_option("-o,--output", flags.output, "x.png; several pictures: x-0.png, x-1.png ...")
      ->check(NotEmpty())
      ->capture_default_str();
  app.add_option("--picture", flags.picture, "How to draw it in the terminal")
      ->check(CLI::IsMember({"auto", "blocks", "kitty", "iterm", "none"}))
      ->capture_default_str();
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
  const auto read = [](const std::string& path, std::string& pem) -> absl::Status {
    if (path.empty()) return absl::OkStatus();
    TESSERA_ASSIGN_OR_RETURN(pem, ReadFile(path, kMaxPemBytes));
    return absl::OkStatus();
  };
  TESSERA_RETURN_IF_ERROR(read(flags.tls_ca, tls.root_certificates));
  TESSERA_RETURN_IF_ERROR(read(flags.tls_cert, tls.certificate_chain));
  TESSERA_RETURN_IF_ERROR(read(flags.tls_key, tls.private_key));
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
  ParseFlagsOrExit(app, argc, argv);
  ClientFlags flags;
  if (generate_app->parsed()) flags.command = ClientCommand::kGenerate;
  if (health_app->parsed()) flags.command = alive ? ClientCommand::kAlive : ClientCommand::kHealth;
  TESSERA_ASSIGN_OR_RETURN(flags.connection, MakeConnection(connection));
  flags.request = std::move(generate.request);
  flags.output = generate.output;
  flags.picture = ParseStyle(generate.picture);
  return flags;
}

}  // namespace tessera
