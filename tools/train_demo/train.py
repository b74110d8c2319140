"""Trains transformer and text encoders together by flow matching. See tools/train_demo/train."""

import argparse
import copy
import json
import os
import random
import signal
import time
from pathlib import Path

import torch

from autoencoder import Autoencoder
from captions import caption
from labels import Probes, labelled_scene, scene_labels
from latents import Latents
from optimiser import make_optimisers
from scenes import training_scene
from start import start_from
from text_encoders import T5, Clip
from train_autoencoder import measure, train_autoencoder
from transformer import Transformer, rotary_table
from vocabulary import Vocabulary, train_tokenizers


class Networks(torch.nn.Module):
    """What is trained: transformer, T5, CLIP and the probes."""

    def __init__(self, config):
        super().__init__()
        self.transformer = Transformer(config["transformer"])
        self.t5 = T5(config["text_encoder_2"])
        self.clip = Clip(config["text_encoder"])
        self.probes = Probes(config["text_encoder_2"]["d_model"],
                             config["text_encoder"]["hidden_size"])


class Trainer:
    def __init__(self, config, folder, device):
        self.config, self.plan = config, config["training"]
        self.folder, self.device = Path(folder), device
        torch.manual_seed(self.plan["seed"])
        self.random = random.Random(self.plan["seed"])
        self.vocabulary = Vocabulary(self.folder / "tokenizers")
        self.autoencoder = Autoencoder(config["vae"]).to(device).eval()
        self.networks = Networks(config).to(device)
        self.ema = copy.deepcopy(self.networks).eval().requires_grad_(False)
        self.optimisers = make_optimisers(self.networks, self.plan["muon_lr"],
                                          self.plan["adam_lr"])
        self.step, self.seconds = 0, 0.0
        self.stores, self.tables = {}, {}

    def begin(self, start):
        """From a checkpoint in diffusers' layout, or else from nothing."""
        if start:
            if not start_from(start, self):
                self.teach_encoders()
            return
        model = train_autoencoder(self.config, self.folder, self.device)
        quality, mean, deviation = measure(model, self.device)
        print(f"autoencoder: {quality:.2f} dB on new scenes", flush=True)
        self.config["vae"] |= {"scaling_factor": round(1 / deviation, 4),
                               "shift_factor": round(mean, 4)}
        self.autoencoder = Autoencoder(self.config["vae"]).to(self.device).eval()
        self.autoencoder.load_state_dict(model.state_dict())
        self.teach_encoders()

    def open_latents(self):
        for side in (128, 256):
            count = self.plan["shard"] * 128 * 128 // side ** 2
            self.stores[side] = Latents(self.folder, self.autoencoder, count, side, self.device)
            self.tables[side] = rotary_table(side // 16, side // 16, self.plan["text_tokens"],
                                             self.config["transformer"]["axes_dims_rope"],
                                             self.device)

    def save(self):
        path = self.folder / "checkpoint.pt"
        state = {"networks": self.networks.state_dict(), "ema": self.ema.state_dict(),
                 "autoencoder": self.autoencoder.state_dict(),
                 "optimisers": [o.state_dict() for o in self.optimisers],
                 "step": self.step, "seconds": self.seconds, "config": self.config}
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    def load(self):
        state = torch.load(self.folder / "checkpoint.pt", map_location=self.device)
        self.networks.load_state_dict(state["networks"])
        self.ema.load_state_dict(state["ema"])
        self.config["vae"] = state["config"]["vae"]
        self.autoencoder = Autoencoder(self.config["vae"]).to(self.device).eval()
        self.autoencoder.load_state_dict(state["autoencoder"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"]):
            peaks = [group["peak"] for group in optimiser.param_groups]
            optimiser.load_state_dict(saved)
            for group, peak in zip(optimiser.param_groups, peaks):
                group["peak"] = peak
        self.step, self.seconds = state["step"], state["seconds"]
        torch.manual_seed(self.plan["seed"] + self.step)
        self.random.seed(self.plan["seed"] + self.step)

    def rate(self):
        """Share of the peak rate: warm-up, plateau, linear descent over the last part."""
        left = (self.plan["steps"] - self.step) / (self.plan["steps"] * self.plan["descent"])
        return max(.02, min(1, (self.step + 1) / self.plan["warm_up"], left))

    def teach_encoders(self):
        """Text alone, before anything else: the probes make the encoders tell whose each attribute
        is. Takes a minute on a CPU, and spares the transformer a bag of words."""
        encoders = torch.nn.ModuleDict(
            {name: getattr(self.networks, name) for name in ("t5", "clip", "probes")})
        optimisers = make_optimisers(encoders, self.plan["muon_lr"], self.plan["adam_lr"])
        for step in range(self.plan["text_steps"]):
            scenes = [training_scene(self.random) for _ in range(128)]
            t5, clip = self.ids([caption(self.random, scene) for scene in scenes])
            labels = torch.tensor([scene_labels(scene) for scene in scenes], device=self.device)
            loss, right = self.networks.probes(self.networks.t5(t5), self.networks.clip(clip),
                                               labels)
            encoders.zero_grad()
            loss.backward()
            for optimiser in optimisers:
                optimiser.step()
            if (step + 1) % self.plan["log_every"] == 0:
                print(f"text {step + 1} {loss:.4f} labels right {right[0]:.3f} {right[1]:.3f}",
                      flush=True)
        self.ema.load_state_dict(self.networks.state_dict())

    def ids(self, texts):
        """T5's and CLIP's ids [B, n]."""
        return [torch.tensor(ids, device=self.device)
                for ids in self.vocabulary.ids(texts, self.plan["text_tokens"])]

    def batch(self):
        """Tokens, touched, labels, T5 ids, CLIP ids and side of one batch."""
        plan, done = self.plan, self.step / self.plan["steps"]
        large = done > plan["large_from"] and self.random.random() < plan["large_share"]
        side, count = (256, plan["batch"] // 4) if large else (128, plan["batch"])
        two_objects = min(plan["two_objects"], .25 + done * 2 * (plan["two_objects"] - .25))
        store = self.stores[side]
        shards = plan["large_shards" if large else "shards"]
        while len(store.shards) < min(shards, 1 + self.step // plan["shard_every"]):
            store.grow()
        tokens, touched, labels = store.batch(count, two_objects)
        texts = ["" if self.random.random() < plan["drop_caption"] else
                 caption(self.random, labelled_scene(row)) for row in labels.tolist()]
        told = torch.tensor([bool(text) for text in texts], device=self.device)
        return tokens, touched, labels, told, *self.ids(texts), side

    def losses(self):
        """Flow matching, weighted where objects are; the probes; what the probes get right."""
        tokens, touched, labels, told, t5, clip, side = self.batch()
        plan, networks = self.plan, self.networks
        noise = torch.randn_like(tokens)
        t = torch.sigmoid(plan["time_mean"] + plan["time_deviation"] *
                          torch.randn(len(tokens), device=self.device))
        mixed = torch.lerp(tokens, noise, t[:, None, None])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=plan["bfloat16"]):
            text, pooled = networks.t5(t5), networks.clip(clip)
            velocity = networks.transformer(mixed, text, pooled, t, self.tables[side]).float()
        weight = 1 + plan["object_weight"] * touched
        error = (velocity - (noise - tokens)).square().mean(-1)
        flow = (error * weight).sum() / weight.sum()
        probes, right = networks.probes(text.float()[told], pooled.float()[told], labels[told])
        return flow, probes, torch.stack([error.mean().detach(), flow.detach(), *right])

    def advance(self):
        """One step; returns [plain loss, weighted loss, T5's labels right, CLIP's]."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * self.rate()
            optimiser.zero_grad()
        flow, probes, figures = self.losses()
        (flow + self.plan["probe_weight"] * probes).backward()
        torch.nn.utils.clip_grad_norm_(self.networks.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        keep = min(self.plan["ema"], (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.networks.parameters()),
                             1 - keep)
        return figures

    def run(self):
        """Until all steps are done or SIGTERM; saves every few minutes and at the end."""
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
        saved = marked = time.monotonic()
        recent = []
        while self.step < self.plan["steps"] and not stop:
            recent.append(self.advance())
            now = time.monotonic()
            if len(recent) == self.plan["log_every"]:
                self.seconds += now - marked
                figures = " ".join(f"{x:.4f}" for x in torch.stack(recent).mean(0).tolist())
                print(f"{self.step} {figures} rate {self.rate():.3f} {self.seconds:.0f} s "
                      f"{len(recent) / (now - marked):.2f}/s", flush=True)
                marked, recent = now, []
            if now - saved > self.plan["save_every_s"]:
                self.save()
                saved = time.monotonic()
        self.save()


def parse():
    here = Path(__file__).resolve().parent
    config = here / ("gpu.json" if torch.cuda.is_available() else "cpu.json")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=config)
    parser.add_argument("--folder", type=Path, default=here.parents[1] / "build/train_demo")
    parser.add_argument("--start", type=Path, help="a checkpoint in diffusers' layout")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def main():
    args = parse()
    torch.set_num_threads(args.threads)
    if not (args.folder / "tokenizers/words.json").exists():
        train_tokenizers(args.folder / "tokenizers")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(json.loads(args.config.read_text()), args.folder, device)
    if (args.folder / "checkpoint.pt").exists():
        trainer.load()
    else:
        trainer.begin(args.start)
    trainer.open_latents()
    parameters = sum(p.numel() for name, p in trainer.networks.named_parameters()
                     if not name.startswith("probes"))
    print(f"{parameters / 1e6:.2f} M parameters; step {trainer.step} of {trainer.plan['steps']}; "
          "columns: step, loss, weighted loss, labels right by T5 and CLIP", flush=True)
    trainer.run()
    if trainer.step == trainer.plan["steps"]:  # the decoder once more; the latents stay the same
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # it saves every hundred steps
        state = torch.load(args.folder / "checkpoint.pt", map_location=device)["autoencoder"]
        decoder = train_autoencoder(json.loads(args.config.read_text()), args.folder, device, state)
        print(f"decoder: {measure(decoder, device)[0]:.2f} dB on new scenes", flush=True)


if __name__ == "__main__":
    main()
