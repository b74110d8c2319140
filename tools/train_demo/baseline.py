"""Rotating and not rotating patch parallelism simulated in one process, over exported weights.

Tessera always rotates; what it gains by that is seen against chunks that stay where they are. The
simulation is the reference that Tessera's golden data comes from, tests/reference.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from autoencoder import Autoencoder
from sampling import sigmas
from text_encoders import T5, Clip

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests/reference"))
from rotating_parallel import Flux, denoise  # noqa: E402


class Simulation:
    def __init__(self, model, captions, seeds, side=128):
        """Encodes the captions and draws the noise, each from its own seed, as Tessera does."""
        model, self.side = Path(model), side
        config = json.loads((model / "transformer/config.json").read_text())
        weights = self._weights(model / "transformer/diffusion_pytorch_model.safetensors")
        self.flux = Flux(weights, config["num_attention_heads"], tuple(config["axes_dims_rope"]),
                         config["num_layers"], config["num_single_layers"], guidance=False)
        self.autoencoder = self._module(Autoencoder, model / "vae",
                                        "diffusion_pytorch_model.safetensors")
        self.text, self.pooled = self._encode(model, captions)
        grid = side // 16
        noise = torch.cat([torch.randn(1, 16, 2 * grid, 2 * grid,
                                       generator=torch.Generator().manual_seed(seed))
                           for seed in seeds])
        self.noise = torch.nn.functional.pixel_unshuffle(noise, 2).flatten(2).transpose(1, 2)
        ys, xs = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
        ids = torch.stack([torch.zeros_like(ys), ys, xs], -1).reshape(-1, 3)
        self.ids = torch.cat([torch.zeros(self.text.shape[1], 3, dtype=ids.dtype), ids])

    @staticmethod
    def _weights(path):
        return {key: value.float() for key, value in load_file(path).items()}

    def _module(self, kind, folder, name):
        module = kind(json.loads((folder / "config.json").read_text())).eval()
        module.load_state_dict(self._weights(folder / name))
        return module

    @torch.no_grad()
    def _encode(self, model, captions):
        from transformers import CLIPTokenizer, T5TokenizerFast
        length = json.loads((model / "tessera.json").read_text())["defaults"]["max_sequence_length"]
        t5 = T5TokenizerFast.from_pretrained(model / "tokenizer_2")(
            captions, padding="max_length", max_length=length, truncation=True).input_ids
        clip = CLIPTokenizer.from_pretrained(model / "tokenizer")(
            captions, padding="max_length", max_length=77, truncation=True).input_ids
        return (self._module(T5, model / "text_encoder_2", "model.safetensors")(torch.tensor(t5)),
                self._module(Clip, model / "text_encoder", "model.safetensors")(torch.tensor(clip)))

    @torch.no_grad()
    def pictures(self, *, ranks=1, steps=16, sync_steps=1, refresh_every=0, split_text=True,
                 rotate=True):
        """uint8 [captions, side, side, 3]."""
        levels = torch.tensor(np.array(sigmas(steps, self.noise.shape[1])), dtype=torch.float32)
        tokens, _ = denoise(self.flux, self.noise, self.text, self.pooled, self.ids, levels, None,
                            ranks=ranks, sync_steps=min(sync_steps, steps), split_text=split_text,
                            rotate=rotate, refresh_every=refresh_every)
        pictures = self.autoencoder.decode(tokens, self.side, self.side).clamp(-1, 1)
        assert math.isfinite(pictures.sum().item())
        return ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
