#pragma once

namespace tessera {

// Keeps freed activations in the process: by default glibc returns every large block to the kernel,
// and each step pays for its pages again. For the whole process; call it once, before the first
// thread.
void KeepFreedMemory();

}  // namespace tessera
