"""Times diffusers' denoising loop and Tessera's in turn and compares what they make. See tools/bench/compare_diffusers."""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

os.environ["TRANSFORMERS_VERBOSITY"] = os.environ["DIFFUSERS_VERBOSITY"] = "error"

import torch  # noqa: E402
from diffusers import FluxPipeline  # noqa: E402
from diffusers.utils import logging  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from make_checkpoint import make_checkpoint  # noqa: E402

PROMPT = "a lighthouse on a cliff at dawn"  # what tessera-bench draws, from seed 0
GUIDANCE = 3.5


class Diffusers:
    """Keeps the pipeline and the encoded prompt, so that a run is the denoising loop alone."""

    def __init__(self, args):
        self.args = args
        logging.disable_progress_bar()
        self.pipe = FluxPipeline.from_pretrained(args.model)
        self.pipe.set_progress_bar_config(disable=True)
        with torch.inference_mode():
            embeds, pooled, _ = self.pipe.encode_prompt(PROMPT, None, max_sequence_length=args.text_tokens)
        self.text = dict(prompt_embeds=embeds, pooled_prompt_embeds=pooled)

    def run(self):
        """Returns the loop's seconds and the final latents [1, tokens, 64]."""
        started = []
        hook = self.pipe.transformer.register_forward_pre_hook(lambda *_: started.append(time.perf_counter()))
        ended = []

        def note(_pipe, _step, _time, tensors):
            ended.append(time.perf_counter())
            return tensors

        latents = self.pipe(
            **self.text, height=self.args.size, width=self.args.size, num_inference_steps=self.args.steps,
            guidance_scale=GUIDANCE, generator=torch.Generator("cpu").manual_seed(0), output_type="latent",
            callback_on_step_end=note).images
        hook.remove()
        return ended[-1] - started[0], latents


class Tessera:
    """A process a run, which makes one round to warm up and one that counts."""

    def __init__(self, args):
        self.folder = tempfile.TemporaryDirectory()
        self.json, self.latents = (f"{self.folder.name}/{name}" for name in ("figures.json", "latents.safetensors"))
        self.command = [
            args.bench, "--model", args.model, "--threads", args.threads, "--ranks", 1, "--rounds", 1,
            "--width", args.size, "--height", args.size, "--steps", args.steps, "--text-tokens", args.text_tokens,
            "--dtype", "float32", "--json", self.json, "--latents", self.latents]

    def run(self):
        subprocess.run([str(word) for word in self.command], check=True, capture_output=True)
        figures = json.loads(pathlib.Path(self.json).read_text())
        return figures["runs"][0]["denoise_ms"] / 1000, load_file(self.latents)["latents"]


def psnr(expected, actual):
    error = (expected - actual).double().square().mean().item()
    peak = (expected.max() - expected.min()).item()
    return 10 * math.log10(peak * peak / error) if error else math.inf


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--text-tokens", type=int, default=128)
    return parser.parse_args()


def main():
    args = parse()
    if args.model is None:
        args.model = pathlib.Path("build/bench-checkpoint")
        if not args.model.exists():
            make_checkpoint(args.model, layers=2, single_layers=4, heads=6, axes=(16, 56, 56))
    torch.set_num_threads(args.threads)
    diffusers, tessera = Diffusers(args), Tessera(args)
    parameters = sum(p.numel() for p in diffusers.pipe.transformer.parameters())
    print(f"{parameters / 1e6:.1f} M parameters, {(args.size // 16) ** 2} image and {args.text_tokens} text tokens, "
          f"{args.steps} steps, {args.threads} threads, float32, torch {torch.__version__}")
    with torch.inference_mode():
        diffusers.run()
        seconds = {"diffusers": [], "tessera": []}
        worst, quality = 0.0, math.inf
        for number in range(args.rounds):
            expected = actual = None
            for name, subject in (("diffusers", diffusers), ("tessera", tessera)):
                spent, latents = subject.run()
                seconds[name].append(spent)
                expected, actual = (latents, actual) if name == "diffusers" else (expected, latents)
            worst = max(worst, (expected - actual).abs().max().item())
            quality = min(quality, psnr(expected, actual))
            print(f"round {number + 1}: diffusers {seconds['diffusers'][-1]:.3f} s, tessera "
                  f"{seconds['tessera'][-1]:.3f} s, ratio {seconds['tessera'][-1] / seconds['diffusers'][-1]:.3f}")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = statistics.median(t / d for t, d in zip(seconds["tessera"], seconds["diffusers"]))
    for name, value in medians.items():
        print(f"{name:<10} median {value:.3f} s, {value * 1000 / args.steps:.1f} ms per step")
    print(f"tessera over diffusers, median of the rounds' ratios: {ratio:.3f}")
    print(f"final latents: largest difference {worst:.2e}, PSNR {quality:.1f} dB")


if __name__ == "__main__":
    main()
