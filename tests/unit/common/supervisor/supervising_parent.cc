// Starts children that would sleep for an hour, prints their process ids, one a line, and waits to
// be killed.
#include <stdio.h>
#include <unistd.h>

#include "common/supervisor/supervisor.h"

int main() {
  const tessera::ChildCommand sleeper = {
      .binary = "/bin/sleep", .args = {"3600"}, .environment = {}};
  auto supervisor = tessera::Supervisor::Start(
      {sleeper, sleeper, sleeper}, {},
      [](const tessera::ChildExit&) { return tessera::AfterExit::kStayEnded; });
  if (!supervisor.ok()) return 1;
  for (int i = 0; i < 3; ++i) {
    printf("%d\n", (*supervisor)->pid(i));
  }
  fflush(stdout);
  for (;;) pause();
}
