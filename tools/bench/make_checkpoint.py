"""Writes a checkpoint in the diffusers layout whose transformer has the stated sizes and random weights.

Everything else (tokenizers, text encoders, VAE, scheduler) is tiny-flux's. Run by tools/bench/compare_diffusers.
"""

import argparse
import pathlib
import shutil
import sys

from diffusers import FluxTransformer2DModel

REFERENCE = pathlib.Path(__file__).resolve().parents[2] / "tests" / "reference"
sys.path.insert(0, str(REFERENCE))
from tiny_checkpoint import TRANSFORMER_CONFIG, fill_weights  # noqa: E402


def make_checkpoint(folder, layers, single_layers, heads, axes):
    """Returns the number of the transformer's parameters."""
    shutil.copytree(REFERENCE / "tiny-flux", folder, ignore=shutil.ignore_patterns("transformer"))
    sizes = dict(num_layers=layers, num_single_layers=single_layers, num_attention_heads=heads,
                 attention_head_dim=sum(axes), axes_dims_rope=tuple(axes))
    transformer = FluxTransformer2DModel(**{**TRANSFORMER_CONFIG, **sizes})
    fill_weights("transformer", transformer)
    transformer.save_pretrained(folder / "transformer")
    return sum(p.numel() for p in transformer.parameters())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--single-layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--axes", type=int, nargs=3, default=[16, 56, 56])
    args = parser.parse_args()
    count = make_checkpoint(args.folder, args.layers, args.single_layers, args.heads, args.axes)
    print(f"{args.folder}: a transformer of {count / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
