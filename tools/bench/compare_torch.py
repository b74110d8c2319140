#!/usr/bin/env python3
"""Times the steps of FLUX.1's transformer in PyTorch, eager and compiled, and of tessera-bench in turn, as ratios.

Random weights of each side's own: the times can be compared, the outputs cannot. (tools/bench/compare_diffusers compares
those of a checkpoint.) Needs torch 2.11 and tessera-bench, such as build/carry brings to a GPU machine:

    python3 compare_torch.py --bench './run tessera-bench' --device cuda --dtype bfloat16 --compile

The transformer is diffusers' own where diffusers is installed, else plain_flux.py, the same operations; --check compares
the two and ends.
"""

import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import torch
except ImportError:
    sys.exit("compare_torch: this Python has no torch; expected torch 2.11")

from plain_flux import PlainFlux, Sizes

SMALL = Sizes(num_layers=4, num_single_layers=8, num_attention_heads=8, axes_dims_rope=(8, 28, 28),
              joint_attention_dim=512, pooled_projection_dim=256)  # as tessera-bench without --model


def diffusers_model(sizes):
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        num_layers=sizes.num_layers, num_single_layers=sizes.num_single_layers, in_channels=sizes.in_channels,
        num_attention_heads=sizes.num_attention_heads, attention_head_dim=sizes.head_dim,
        axes_dims_rope=tuple(sizes.axes_dims_rope), joint_attention_dim=sizes.joint_attention_dim,
        pooled_projection_dim=sizes.pooled_projection_dim, guidance_embeds=sizes.guidance_embeds)


def make_model(args, sizes):
    """Returns the name of the implementation, and the model with random weights made on the device."""
    name = "diffusers" if args.transformer == "diffusers" else "plain PyTorch"
    make = diffusers_model if args.transformer == "diffusers" else PlainFlux
    if args.transformer is None:
        try:
            import diffusers  # noqa: F401

            name, make = "diffusers", diffusers_model
        except ImportError:
            pass
    with torch.device("meta"):
        model = make(sizes).to(getattr(torch, args.dtype))
    model = model.to_empty(device=args.device).eval().requires_grad_(False)
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.normal_().div_(max(1, parameter[0].numel()) ** 0.5)
    return name, model


def make_inputs(args, sizes):
    rows = args.size // 16
    options = dict(device=args.device, dtype=getattr(torch, args.dtype))
    ids = torch.zeros(rows, rows, 3, **options)
    ids[..., 1] += torch.arange(rows, **options)[:, None]
    ids[..., 2] += torch.arange(rows, **options)[None]
    return dict(
        hidden_states=torch.randn(1, rows * rows, sizes.in_channels, **options),
        encoder_hidden_states=torch.randn(1, args.text_tokens, sizes.joint_attention_dim, **options),
        pooled_projections=torch.randn(1, sizes.pooled_projection_dim, **options),
        timestep=torch.full([1], 0.5, **options), guidance=torch.full([1], 3.5, **options),
        img_ids=ids.flatten(0, 1), txt_ids=torch.zeros(args.text_tokens, 3, **options))


def torch_step_ms(model, inputs, args):
    """Milliseconds per step; the host runs ahead of a GPU, which is waited for at both ends."""
    def wait():
        if args.device != "cpu":
            torch.cuda.synchronize()

    wait()
    begin = time.perf_counter()
    for _ in range(args.steps):
        result = model(**inputs)
        velocity = result[0] if isinstance(result, tuple) else getattr(result, "sample", result)
        inputs["hidden_states"].add_(velocity, alpha=-1e-4)
    wait()
    return (time.perf_counter() - begin) * 1000 / args.steps


def bench_step_ms(args):
    """A process a run, which makes one round to warm up and one that counts."""
    with tempfile.TemporaryDirectory() as folder:
        figures = pathlib.Path(folder) / "figures.json"
        sizes = ["--model", "flux-dev", "--random-weights"] if args.sizes == "flux-dev" else []
        command = shlex.split(args.bench) + sizes + [
            "--device", args.device, "--dtype", args.dtype, "--threads", args.threads, "--ranks", 1, "--rounds", 1,
            "--width", args.size, "--height", args.size, "--steps", max(args.steps, 3), "--text-tokens",
            args.text_tokens, "--json", figures] + shlex.split(args.bench_options)
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"compare_torch: {args.bench} failed: {done.stderr.strip()}")
        return json.loads(figures.read_text())["runs"][0]["steady_step_ms"]


def check():
    """Compares plain_flux.py with diffusers' transformer on the same weights."""
    args = argparse.Namespace(device="cpu", dtype="float32", size=128, text_tokens=24, transformer="diffusers")
    sizes = Sizes(num_layers=2, num_single_layers=2, num_attention_heads=2, axes_dims_rope=(8, 12, 12),
                  joint_attention_dim=64, pooled_projection_dim=32)
    model, plain = make_model(args, sizes)[1], PlainFlux(sizes)
    plain.load_state_dict(model.state_dict())
    with torch.inference_mode():
        inputs = make_inputs(args, sizes)
        expected, actual = model(**inputs).sample, plain(**inputs)
    difference = ((expected - actual).abs().max() / expected.abs().max()).item()
    print(f"largest difference from diffusers, of its largest value: {difference:.1e}")
    return 0 if difference < 1e-5 else 1


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="build/release/worker/bench/tessera-bench", help="command of tessera-bench")
    parser.add_argument("--bench-options", default="", help="more of its options, such as '--kernels fused'")
    parser.add_argument("--sizes", choices=["flux-dev", "small"], default="flux-dev")
    parser.add_argument("--transformer", choices=["diffusers", "plain"], help="default: diffusers where installed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--compile", action="store_true", help="also torch.compile")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="pixels")
    parser.add_argument("--text-tokens", type=int, default=512)
    parser.add_argument("--json", help="also writes the figures to this file")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


def main():
    args = parse()
    if args.check:
        return check()
    if args.device != "cpu" and not torch.cuda.is_available():
        sys.exit(f"compare_torch: --device {args.device}: torch sees no GPU")
    torch.set_num_threads(args.threads)
    sizes = Sizes() if args.sizes == "flux-dev" else SMALL
    with torch.inference_mode():
        name, model = make_model(args, sizes)
        inputs = make_inputs(args, sizes)
        subjects = {f"{name}, eager": lambda: torch_step_ms(model, inputs, args)}
        if args.compile:
            compiled = torch.compile(model)
            subjects[f"{name}, compiled"] = lambda: torch_step_ms(compiled, inputs, args)
        for subject in list(subjects):
            try:
                subjects[subject]()  # warm
            except Exception as error:  # torch.compile needs more than torch: a C compiler, Triton
                print(f"compare_torch: left out: {subject}: {error}", file=sys.stderr, flush=True)
                del subjects[subject]
        subjects["tessera"] = lambda: bench_step_ms(args)
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{parameters / 1e6:.1f} M random parameters (not the same: outputs are not compared), {args.size}x"
              f"{args.size}, {args.text_tokens} text tokens, {args.device}, {args.dtype}, torch {torch.__version__}")
        times = {subject: [] for subject in subjects}
        for number in range(args.rounds):
            for subject, measure in subjects.items():
                times[subject].append(measure())
            print(f"round {number + 1}: " + ", ".join(f"{s} {ms[-1]:.1f} ms" for s, ms in times.items()), flush=True)
    figures = [{"name": subject, "median_ms": statistics.median(ms),
                "tessera_over_it": statistics.median(t / m for t, m in zip(times["tessera"], ms))}
               for subject, ms in times.items()]
    for f in figures:
        print(f"{f['name']:<24} median {f['median_ms']:8.1f} ms per step; tessera over it {f['tessera_over_it']:.3f}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
