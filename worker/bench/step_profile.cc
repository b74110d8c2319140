#include "worker/bench/step_profile.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace tessera {
namespace {

namespace profiler = torch::autograd::profiler;
using profiler::ActivityType;

uint64_t End(const TimedEvent& event) { return event.begin_ns + event.duration_ns; }

// What `inner`, which begins after `outer` began, takes of it. On a GPU a kernel may begin before
// the last one has ended.
uint64_t Overlap(const TimedEvent& outer, const TimedEvent& inner) {
  return std::min(End(outer), End(inner)) - inner.begin_ns;
}

double ToMs(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

std::vector<TimedEvent> EventsOn(at::DeviceType device, const profiler::ProfilerResult& result) {
  std::vector<TimedEvent> events;
  for (const profiler::KinetoEvent& event : result.events()) {
    if (event.deviceType() != device) continue;
    events.push_back({event.name(), event.startNs(), event.durationNs()});
  }
  return events;
}

}  // namespace

double StepProfile::launches() const {
  double sum = 0;
  for (const Class& c : classes) sum += c.launches;
  return sum;
}

double StepProfile::rest_ms() const {
  double rest = step_ms;
  for (const Class& c : classes) rest -= c.ms;
  return rest;
}

std::array<StepProfile::Class, kKernelClasses> SumByClass(std::vector<TimedEvent> events,
                                                          int steps) {
  std::sort(events.begin(), events.end(), [](const TimedEvent& a, const TimedEvent& b) {
    return std::tuple(a.begin_ns, b.duration_ns) < std::tuple(b.begin_ns, a.duration_ns);
  });
  std::array<StepProfile::Class, kKernelClasses> sums;
  const auto class_of = [&sums](const TimedEvent& event) -> StepProfile::Class& {
    return sums[static_cast<size_t>(ClassOfKernel(event.name))];
  };
  std::vector<const TimedEvent*> around;  // the events that the current one lies in
  for (const TimedEvent& event : events) {
    while (!around.empty() && End(*around.back()) <= event.begin_ns) around.pop_back();
    class_of(event).ms += ToMs(event.duration_ns) / steps;
    class_of(event).launches += 1.0 / steps;
    if (!around.empty())
      class_of(*around.back()).ms -= ToMs(Overlap(*around.back(), event)) / steps;
    around.push_back(&event);
  }
  return sums;
}

StepProfile ProfileStep(SteadyStep& step, int ranks, int steps) {
  const bool cpu = step.device().is_cpu();
  std::set<ActivityType> activities = {ActivityType::CPU};
  if (!cpu) activities.insert(ActivityType::CUDA);
  const profiler::ProfilerConfig config(profiler::ProfilerState::KINETO);
  step.MeasureMs(ranks, 0, 1);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  StepProfile profile = {.ranks = ranks};
  profile.step_ms = step.MeasureMs(ranks, 0, steps);
  const std::unique_ptr<profiler::ProfilerResult> result = profiler::disableProfiler();
  profile.classes = SumByClass(EventsOn(cpu ? at::kCPU : at::kCUDA, *result), steps);
  return profile;
}

}  // namespace tessera
