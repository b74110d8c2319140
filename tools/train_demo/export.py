"""Writes a training's mean weights as a checkpoint in diffusers' layout.

See tools/train_demo/export. Weights are stored as float16.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from sampling import SCHEDULER
from vocabulary import END, START

WEIGHTS = "diffusion_pytorch_model.safetensors"
PARTS = {
    "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "text_encoder_2": ("transformers", "T5EncoderModel"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "tokenizer_2": ("transformers", "T5TokenizerFast"),
    "transformer": ("diffusers", "FluxTransformer2DModel"),
    "vae": ("diffusers", "AutoencoderKL")}
FIXED = {  # what the plain modules take for granted
    "transformer": {"out_channels": None},
    "text_encoder": {
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model",
        "attention_dropout": 0.0, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-05,
        "projection_dim": 64},
    "text_encoder_2": {
        "architectures": ["T5EncoderModel"], "model_type": "t5", "pad_token_id": 0,
        "eos_token_id": 1, "dropout_rate": 0.0, "feed_forward_proj": "gated-gelu",
        "dense_act_fn": "gelu_new", "is_gated_act": True, "is_encoder_decoder": False,
        "use_cache": False, "layer_norm_epsilon": 1e-06, "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128, "tie_word_embeddings": True},
    "vae": {
        "in_channels": 3, "out_channels": 3, "act_fn": "silu", "sample_size": 128,
        "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
        "mid_block_add_attention": True, "force_upcast": False, "use_quant_conv": False,
        "use_post_quant_conv": False}}


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_weights(path, state):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half().contiguous() for key, value in state.items()}, path,
              metadata={"format": "pt"})


def part_of(state, name):
    """The tensors of one of Networks' parts, under their own names."""
    return {key.removeprefix(name + "."): value for key, value in state.items()
            if key.startswith(name + ".")}


def write_pieces(source, output):
    """Without the names of the files that it was trained from."""
    from sentencepiece import sentencepiece_model_pb2
    model = sentencepiece_model_pb2.ModelProto.FromString(source.read_bytes())
    for field in ("input", "model_prefix"):
        model.trainer_spec.ClearField(field)
    output.write_bytes(model.SerializeToString())


def write_tokenizers(source, output, text_tokens):
    ends = dict(bos_token=START, eos_token=END, unk_token=END, pad_token=END)
    write_json(output / "tokenizer/tokenizer_config.json", dict(
        tokenizer_class="CLIPTokenizer", model_max_length=77, add_prefix_space=False,
        do_lower_case=True, **ends))
    write_json(output / "tokenizer/special_tokens_map.json", ends)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(source / name, output / "tokenizer" / name)
    ends = dict(eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
    write_json(output / "tokenizer_2/special_tokens_map.json", ends)
    write_json(output / "tokenizer_2/tokenizer_config.json", dict(
        tokenizer_class="T5Tokenizer", extra_ids=0, model_max_length=text_tokens, legacy=False,
        **ends))
    write_pieces(source / "spiece.model", output / "tokenizer_2/spiece.model")
    from transformers import T5Tokenizer  # makes tokenizer.json of spiece.model
    T5Tokenizer.from_pretrained(output / "tokenizer_2", extra_ids=0).save_pretrained(
        output / "tokenizer_2")


def export(checkpoint, tokenizers, output, steps):
    config, state = checkpoint["config"], checkpoint["ema"]
    text_tokens = config["training"]["text_tokens"]
    versions = {"_diffusers_version": "0.42.1"}
    write_json(output / "model_index.json", {"_class_name": "FluxPipeline", **versions,
                                             **{name: list(part) for name, part in PARTS.items()}})
    write_json(output / "scheduler/scheduler_config.json",
               {"_class_name": PARTS["scheduler"][1], **versions, **SCHEDULER})
    for name in ("transformer", "vae"):
        write_json(output / name / "config.json",
                   {"_class_name": PARTS[name][1], **versions, **FIXED[name], **config[name]})
    for name in ("text_encoder", "text_encoder_2"):
        write_json(output / name / "config.json", {**FIXED[name], **config[name]})
    write_weights(output / "transformer" / WEIGHTS, part_of(state, "transformer"))
    write_weights(output / "vae" / WEIGHTS, checkpoint["autoencoder"])
    write_weights(output / "text_encoder/model.safetensors", part_of(state, "clip"))
    write_weights(output / "text_encoder_2/model.safetensors", part_of(state, "t5"))
    write_tokenizers(tokenizers, output, text_tokens)
    write_json(output / "tessera.json", {"name": "shapes", "defaults": {
        "width": 128, "height": 128, "num_inference_steps": steps, "guidance_scale": 0.0,
        "max_sequence_length": text_tokens}})


def main():
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=root / "build/train_demo")
    parser.add_argument("--output", type=Path, default=root / "models/shapes")
    parser.add_argument("--steps", type=int, default=16, help="the checkpoint's default")
    args = parser.parse_args()
    checkpoint = torch.load(args.folder / "checkpoint.pt", map_location="cpu")
    if (args.folder / "decoder.pt").exists():  # of train_autoencoder.py, sharper
        checkpoint["autoencoder"] = torch.load(args.folder / "decoder.pt",
                                               map_location="cpu")["mean"]
    export(checkpoint, args.folder / "tokenizers", args.output, args.steps)
    size = sum(path.stat().st_size for path in args.output.rglob("*") if path.is_file())
    print(f"{args.output}: {size / 1e6:.2f} MB, after {checkpoint['step']} steps")


if __name__ == "__main__":
    main()
