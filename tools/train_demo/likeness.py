"""How alike two pictures are; uint8 [height, width, 3]."""

import math

import numpy as np

WINDOW = 7      # pixels
MOST_DB = 60.0  # what equal pictures count


def psnr(a, b):
    """Decibels."""
    error = np.square(a.astype(float) - b).mean()
    return min(MOST_DB, 10 * math.log10(255 ** 2 / error)) if error else MOST_DB


def _means(x):
    """Means over all windows, [height - 6, width - 6, 3]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (WINDOW, WINDOW), axis=(0, 1))
    return windows.mean((-1, -2))


def ssim(a, b):
    """Structural similarity (Wang et al. 2004), uniform windows, mean over colours; at most 1."""
    a, b = a.astype(float), b.astype(float)
    c1, c2 = (.01 * 255) ** 2, (.03 * 255) ** 2
    mean_a, mean_b = _means(a), _means(b)
    spread_a, spread_b = _means(a * a) - mean_a ** 2, _means(b * b) - mean_b ** 2
    shared = _means(a * b) - mean_a * mean_b
    index = ((2 * mean_a * mean_b + c1) * (2 * shared + c2)
             / ((mean_a ** 2 + mean_b ** 2 + c1) * (spread_a + spread_b + c2)))
    return float(index.mean())
