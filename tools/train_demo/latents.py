"""Training scenes as image tokens of the frozen autoencoder, made shard by shard and kept."""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from labels import scene_labels
from render import render
from scenes import COLOURS, training_scene

BATCH = 32


def pictures(arrays, device=None):
    """uint8 [B, side, side, 3] -> [B, 3, side, side] in -1..1."""
    return torch.from_numpy(np.stack(arrays)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def _touched(arrays, scenes, side):
    """Which tokens hold a part of an object: uint8 [B, L]."""
    ground = np.array([COLOURS[scene.background] for scene in scenes])[:, None, None]
    differs = torch.from_numpy((np.stack(arrays) != ground).any(-1)).float()
    return F.max_pool2d(differs[:, None], 16).flatten(1).byte()


def make_shard(autoencoder, number, count, side, device):
    """`count` scenes: {"tokens": half [n, L, 64], "touched": uint8 [n, L], "labels": uint8 [n, 8]}."""
    rng = random.Random(1000 * side + number)
    tokens, touched, labels = [], [], []
    for _ in range(0, count, BATCH):
        scenes = [training_scene(rng) for _ in range(BATCH)]
        assert not any(scene.has_held_out_pair for scene in scenes)
        arrays = [render(scene, side) for scene in scenes]
        with torch.no_grad():
            tokens.append(autoencoder.encode(pictures(arrays, device)).half().cpu())
        touched.append(_touched(arrays, scenes, side))
        labels += [scene_labels(scene) for scene in scenes]
    return {"tokens": torch.cat(tokens), "touched": torch.cat(touched),
            "labels": torch.tensor(labels, dtype=torch.uint8)}


class Latents:
    """The shards of one picture size, each of `count` scenes. Grows by one at a time, so that
    training starts early."""

    def __init__(self, folder, autoencoder, count, side, device):
        self.folder, self.autoencoder, self.count = folder, autoencoder, count
        self.side, self.device = side, device
        self.shards = []
        while self._path(len(self.shards)).exists():
            self.shards.append(torch.load(self._path(len(self.shards))))
        self._join()

    def _path(self, number):
        return Path(self.folder) / f"latents-{self.side}-{number}.pt"

    def _join(self):
        if self.shards:
            self.data = {key: torch.cat([shard[key] for shard in self.shards]).to(self.device)
                         for key in self.shards[0]}
            two = self.data["labels"][:, 1] >= 9
            self.rows = [(~two).nonzero()[:, 0], two.nonzero()[:, 0]]

    def grow(self):
        path = self._path(len(self.shards))
        shard = make_shard(self.autoencoder, len(self.shards), self.count, self.side, self.device)
        torch.save(shard, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
        self.shards.append(shard)
        self._join()

    def batch(self, count, two_objects):
        """Tokens [B, L, 64], touched [B, L] as floats, labels [B, 8]; `two_objects`: share."""
        twos = round(count * two_objects)
        pick = torch.cat([rows[torch.randint(len(rows), (n,), device=rows.device)]
                          for rows, n in zip(self.rows, (count - twos, twos))])
        return (self.data["tokens"][pick].float(), self.data["touched"][pick].float(),
                self.data["labels"][pick].long())
