#include "worker/pipeline/process_memory.h"

#include <malloc.h>

#include <climits>

namespace tessera {

void KeepFreedMemory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_ARENA_MAX, 1);  // other arenas are too small for activations
}

}  // namespace tessera
