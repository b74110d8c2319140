#include "client/generate_command.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/image_client.h"
#include "client/output_files.h"
#include "client/progress_display.h"
#include "client/terminal_picture.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

absl::StatusOr<GeneratedImages> GenerateWithProgress(const ClientFlags& flags,
                                                     const std::stop_token& stop) {
  ImageClient client(flags.connection);
  ProgressDisplay progress(stderr);
  GenerateHooks hooks;
  hooks.on_event = [&](const v1::StreamGenerateImageResponse& event) { progress.Show(event); };
  hooks.on_retry = [&](const absl::Status& why, double wait_s) { progress.ShowRetry(why, wait_s); };
  return client.Generate(flags.request, hooks, stop);
}

PictureStyle StyleOf(const ClientFlags& flags) {
  if (flags.picture.has_value()) return *flags.picture;
  return isatty(STDOUT_FILENO) == 1 ? DetectPictureStyle(std::getenv) : PictureStyle::kNone;
}

std::string Summary(const v1::GenerationMetadata& metadata) {
  const v1::GenerateImageRequest& request = metadata.effective_request();
  std::string text = absl::StrFormat(
      "%dx%d, %d steps, seed %d, %d %s, %.2f s", request.width(), request.height(),
      request.num_inference_steps(), request.seed(), metadata.ranks(),
      metadata.ranks() == 1 ? "worker" : "workers", metadata.stage_seconds().total());
  if (metadata.attempts() > 1) absl::StrAppend(&text, ", ", metadata.attempts(), " attempts");
  if (metadata.clip_truncated() || metadata.t5_truncated()) {
    absl::StrAppend(&text, "; the prompt was cut for ", metadata.clip_truncated() ? "CLIP" : "",
                    metadata.clip_truncated() && metadata.t5_truncated() ? " and " : "",
                    metadata.t5_truncated() ? "T5" : "");
  }
  return text;
}

}  // namespace

absl::Status RunGenerate(const ClientFlags& flags, const std::stop_token& stop) {
  TESSERA_ASSIGN_OR_RETURN(const GeneratedImages images, GenerateWithProgress(flags, stop));
  const std::vector<std::string> paths = OutputPaths(flags.output, images.pngs.size());
  for (size_t i = 0; i < paths.size(); ++i) {
    TESSERA_RETURN_IF_ERROR(WriteFileAtomically(paths[i], images.pngs[i]));
  }
  TerminalExtent extent = TerminalSize(STDOUT_FILENO);
  extent.rows -= 2;  // for the line below and the shell's prompt
  for (size_t i = 0; i < paths.size(); ++i) {
    TESSERA_ASSIGN_OR_RETURN(const std::string picture,
                             TerminalPicture(images.pngs[i], StyleOf(flags), extent));
    std::printf("%s%s: %s\n", picture.c_str(), paths[i].c_str(), Summary(images.metadata).c_str());
  }
  return absl::OkStatus();
}

}  // namespace tessera
