#include "worker/pipeline/step_pacer.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace tessera {

void StepPacer::EndStep() {
  if (device_.is_cpu()) return;
  c10::Event ended(device_.type());
  ended.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  Finish();
  last_ = std::move(ended);
}

void StepPacer::Finish() {
  if (last_.has_value()) last_->synchronize();
}

}  // namespace tessera
