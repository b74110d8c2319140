"""Trains the autoencoder on rendered scenes: crops around objects first, whole pictures last.

As a program it trains on the decoder of a finished autoencoder, by whole pictures, and leaves the
encoder, and with it every latent, as it is. It may run beside or after train.py; export.py takes
the decoder from there.

    train_autoencoder.py --folder build/train_demo --config tools/train_demo/cpu.json
"""

import argparse
import copy
import json
import math
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from autoencoder import Autoencoder
from latents import pictures
from render import render
from scenes import COLOURS, training_scene

SIDE, CROP = 128, 64    # pixels


class Pool:
    """Rendered scenes: a share `own_colours` in the scenes' colours, the others in random ones, so
    that colour is learnt as a continuum; at least a share `stars` with a star, whose points are
    what an autoencoder learns last."""

    def __init__(self, count, own_colours, stars, seed):
        self.random = random.Random(seed)
        self.pictures = np.empty((count, SIDE, SIDE, 3), np.uint8)
        for picture in self.pictures:
            palette = COLOURS if self.random.random() < own_colours else {
                name: tuple(self.random.randrange(256) for _ in range(3)) for name in COLOURS}
            picture[:] = render(self._scene(stars), SIDE, palette)
        ground = self.pictures[:, 2, 2].astype(np.int16)[:, None, None]
        self.objects = np.abs(self.pictures - ground).sum(-1) > 12

    def _scene(self, stars):
        star = self.random.random() < stars
        while True:
            scene = training_scene(self.random)
            if not star or any(thing.shape == "star" for thing in scene.things):
                return scene

    def _corner(self, which):
        """Of a crop near an object, mostly."""
        ys, xs = np.nonzero(self.objects[which])
        if not len(ys) or self.random.random() < .1:
            return self.random.randrange(SIDE - CROP), self.random.randrange(SIDE - CROP)
        at = self.random.randrange(len(ys))
        return [min(max(int(centre[at]) - self.random.randrange(8, CROP - 8), 0), SIDE - CROP)
                for centre in (ys, xs)]

    def batch(self, count, whole, device):
        """Pictures [B, 3, side, side] in -1..1 and where their objects are, [B, 1, side, side]."""
        rows = [self.random.randrange(len(self.pictures)) for _ in range(count)]
        side = SIDE if whole else CROP
        corners = [(0, 0) if whole else self._corner(row) for row in rows]
        crops = [np.s_[row, y:y + side, x:x + side] for row, (y, x) in zip(rows, corners)]
        objects = torch.from_numpy(np.stack([self.objects[crop] for crop in crops]))
        return (pictures([self.pictures[crop] for crop in crops], device),
                objects[:, None].float().to(device))


def train_autoencoder(config, folder, device, decoder_of=None):
    """Returns the mean weights; resumes from autoencoder.pt. `decoder_of`: the weights of an
    autoencoder of which the decoder alone is trained on; decoder.pt."""
    stage = "autoencoder" if decoder_of is None else "decoder"
    plan, path = config[stage], Path(folder) / f"{stage}.pt"
    model = Autoencoder(config["vae"]).to(device)
    if decoder_of is not None:
        model.load_state_dict(decoder_of)
        model.encoder.requires_grad_(False)
    mean = copy.deepcopy(model).eval().requires_grad_(False)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad],
                                  betas=(.9, .98), weight_decay=1e-4)
    step = 0
    if path.exists():
        state = torch.load(path, map_location=device)
        model.load_state_dict(state["model"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    if step < plan["steps"]:
        pool = Pool(plan["pool"], plan["own_colours"], plan["stars"], seed=step)
    quality = []
    while step < plan["steps"]:
        done = step / plan["steps"]
        whole = done > plan["whole_from"]
        rate = min(1, (step + 1) / 100) * (.49 * (1 + math.cos(math.pi * done)) + .02)
        for group in optimiser.param_groups:
            group["lr"] = plan["lr"] * rate
        x, objects = pool.batch(plan["batch"] // (3 if whole else 1), whole, device)
        latent_mean, log_variance = model.moments(x)
        noise = torch.randn_like(latent_mean)
        y = model.picture(latent_mean + (log_variance / 2).exp() * noise)
        weight = 1 + plan["object_weight"] * F.max_pool2d(objects, 5, 1, 2)
        error = ((y - x).abs() * weight).mean() + .5 * ((y - x).square() * weight).mean()
        prior = (latent_mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2
        loss = error + plan["prior_weight"] * prior / x.numel()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        keep = min(.998, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), 1 - keep)
        quality.append(10 * math.log10(4 / F.mse_loss(y, x).item()))
        if step % 100 == 0:
            print(f"{stage} {step} of {plan['steps']}: PSNR {np.mean(quality[-100:]):.2f} dB",
                  flush=True)
        if step % 100 == 0 or step == plan["steps"]:
            torch.save({"model": model.state_dict(), "mean": mean.state_dict(),
                        "optimiser": optimiser.state_dict(), "step": step}, path)
    return mean


def measure(model, device):
    """PSNR of whole new scenes in dB, and mean and deviation of their latents."""
    rng = random.Random(12345)
    x = pictures([render(training_scene(rng), SIDE) for _ in range(64)], device)
    with torch.no_grad():
        latents = model.moments(x)[0]
        y = model.picture(latents).clamp(-1, 1)
    return (10 * math.log10(4 / F.mse_loss(y, x).item()), latents.mean().item(),
            latents.std().item())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = torch.load(args.folder / "checkpoint.pt", map_location=device)["autoencoder"]
    before = Autoencoder(json.loads(args.config.read_text())["vae"]).to(device)
    before.load_state_dict(state)
    print(f"before: {measure(before, device)[0]:.2f} dB", flush=True)
    model = train_autoencoder(json.loads(args.config.read_text()), args.folder, device, state)
    print(f"after: {measure(model, device)[0]:.2f} dB", flush=True)


if __name__ == "__main__":
    main()
