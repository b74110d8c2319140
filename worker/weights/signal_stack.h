#pragma once

namespace tessera {

// Gives the calling thread, and the threads that ATen computes with on its behalf, stacks of their
// own for signal handlers. oneDNN's generated code points the stack pointer into a workspace on the
// heap, where a handler on the current stack would overwrite what belongs to others. A handler has
// to be installed with SA_ONSTACK. A thread that has such a stack keeps it, so that repeated calls
// cost next to nothing. Call it after at::set_num_threads, on the thread that computes.
void GiveSignalStacks();

}  // namespace tessera
