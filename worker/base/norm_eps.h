#pragma once

namespace tessera {

// What every norm of FLUX's transformer and VAE adds to a variance or a mean square.
inline constexpr double kNormEps = 1e-6;

}  // namespace tessera
