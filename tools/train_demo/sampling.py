"""Pictures from the networks in training, by the scheduler that the checkpoint is exported with."""

import math

import numpy as np
import torch

SCHEDULER = {"num_train_timesteps": 1000, "shift": 1.0, "use_dynamic_shifting": True,
             "base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 64,
             "max_image_seq_len": 4096}


def sigmas(steps, tokens):
    """Noise levels [steps + 1], 1 to 0."""
    slope = (SCHEDULER["max_shift"] - SCHEDULER["base_shift"]) / (
        SCHEDULER["max_image_seq_len"] - SCHEDULER["base_image_seq_len"])
    shift = math.exp(SCHEDULER["base_shift"] + slope * (tokens - SCHEDULER["base_image_seq_len"]))
    even = np.linspace(1, 1 / steps, steps)
    return [*(shift / (shift + 1 / even - 1)), 0.0]


@torch.no_grad()
def sample(networks, autoencoder, vocabulary, captions, turns, *, side, text_tokens, steps=16,
           seed=0):
    """uint8 [B, side, side, 3]; `turns` of rotary_table for this side and text length."""
    device = turns.device
    t5, clip = vocabulary.ids(captions, text_tokens)
    text = networks.t5(torch.tensor(t5, device=device))
    pooled = networks.clip(torch.tensor(clip, device=device))
    tokens = (side // 16) ** 2
    noise = torch.Generator().manual_seed(seed)
    x = torch.randn(len(captions), tokens, 64, generator=noise).to(device)
    levels = sigmas(steps, tokens)
    for now, then in zip(levels, levels[1:]):
        t = torch.full((len(captions),), float(now), device=device)
        x = x + (then - now) * networks.transformer(x, text, pooled, t, turns)
    pictures = autoencoder.decode(x, side, side).clamp(-1, 1)
    return ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
