// One rank of a group as a process of its own, driven line by line through standard input; for
// tests of the engine that need real processes. Answers go to standard output, one line each:
//
//   host EPOCH                              -> port P
//   join EPOCH RANK SIZE STORE_PORT         -> ok | error STATUS
//   generate PIXEL_FILE FAIL_AT TIMEOUT_S FIELDS  -> step S (each step), then ok | error STATUS
//
// FIELDS is the request as JSON. FAIL_AT is the step at which this rank reports an error of its
// own; -1: none. LOADED is printed once the weights are there. Arguments: the checkpoint and who
// encodes prompts, as tessera-worker's --text-encoder.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "worker/pipeline/engine.h"
#include "worker/pipeline/engine_settings.h"

namespace tessera {
namespace {

void Say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

void SayStatus(const absl::Status& status) {
  Say(status.ok() ? "ok" : "error " + status.ToString());
}

ImageRequest ParseRequest(const nlohmann::json& fields) {
  ImageRequest request;
  request.prompt = fields.value("prompt", "a lighthouse");
  request.width = fields.value("width", 64);
  request.height = fields.value("height", 64);
  request.num_inference_steps = fields.value("steps", 6);
  request.guidance_scale = fields.value("guidance", 3.5);
  request.max_sequence_length = fields.value("text_tokens", 50);
  request.seed = fields.value("seed", 42);
  request.sync_steps = fields.value("sync_steps", 1);
  request.refresh_every = fields.value("refresh_every", 0);
  request.text_mode = fields.value("replicated", false) ? TextMode::kReplicated : TextMode::kSplit;
  if (fields.contains("negative_prompt")) {
    request.negative_prompt = fields["negative_prompt"];
    request.true_cfg_scale = 3;
  }
  return request;
}

absl::Status Generate(Engine& engine, std::istringstream& line) {
  std::string file, fields;
  int fail_at = -1;
  double timeout_s = 0;
  line >> file >> fail_at >> timeout_s;
  std::getline(line, fields);
  JobHooks hooks;
  hooks.on_step = [&](int step, int) {
    Say("step " + std::to_string(step));
    return step == fail_at ? absl::InternalError("made to fail") : absl::OkStatus();
  };
  const absl::StatusOr<ImageResult> result =
      engine.Generate(ParseRequest(nlohmann::json::parse(fields)), hooks, timeout_s);
  if (!result.ok()) return result.status();
  if (!result->pictures.empty()) std::ofstream(file, std::ios::binary) << result->pictures[0];
  return absl::OkStatus();
}

int Main(const std::string& model_dir, const std::string& text_encoder) {
  PipelineOptions pipeline = PipelineOptionsOf({.threads = 1, .text_encoder = text_encoder});
  pipeline.model_dir = model_dir;
  const absl::StatusOr<std::unique_ptr<Engine>> engine = LoadEngine(pipeline);
  if (!engine.ok()) {
    SayStatus(engine.status());
    return 1;
  }
  Say("loaded");
  std::string text;
  while (std::getline(std::cin, text)) {
    std::istringstream line(text);
    std::string command;
    line >> command;
    if (command == "host") {
      int64_t epoch = 0;
      line >> epoch;
      const absl::StatusOr<int> port = (*engine)->HostStore(epoch, "127.0.0.1");
      Say(port.ok() ? "port " + std::to_string(*port) : "error " + port.status().ToString());
    } else if (command == "join") {
      GroupOptions options = {
          .store_host = "127.0.0.1", .interface_address = "127.0.0.1", .join_timeout_s = 20};
      line >> options.epoch >> options.rank >> options.size >> options.store_port;
      SayStatus((*engine)->JoinGroup(options));
    } else if (command == "generate") {
      SayStatus(Generate(**engine, line));
    } else {
      Say("error unknown command " + command);
    }
  }
  return 0;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return argc == 3 ? tessera::Main(argv[1], argv[2]) : 2; }
