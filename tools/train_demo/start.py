"""Starts a training from a checkpoint in diffusers' layout, whose tokenizers may differ."""

import json

from safetensors.torch import load_file

WEIGHTS = "diffusion_pytorch_model.safetensors"


def _pieces(folder):
    """T5's pieces and CLIP's tokens in the order of their ids."""
    vocabulary = json.loads((folder / "tokenizer" / "vocab.json").read_text())
    t5 = json.loads((folder / "tokenizer_2" / "tokenizer.json").read_text())["model"]["vocab"]
    return [piece for piece, _ in t5], sorted(vocabulary, key=vocabulary.get)


def _move_rows(rows, old, new, fresh):
    """Embedding rows by token instead of by id; tokens without a row keep the fresh one."""
    index = {token: i for i, token in enumerate(old)}
    moved = fresh.clone()
    for i, token in enumerate(new):
        if token in index:
            moved[i] = rows[index[token]]
    return moved


def start_from(folder, trainer):
    """Takes the autoencoder, and the networks when they are of the trainer's sizes. Returns whether
    they are; else they are left as they were."""
    networks, vocabulary = trainer.networks, trainer.vocabulary
    trainer.autoencoder.load_state_dict(load_file(folder / "vae" / WEIGHTS))
    for part in ("transformer", "text_encoder", "text_encoder_2"):
        found = json.loads((folder / part / "config.json").read_text())
        if any(found[key] != value for key, value in trainer.config[part].items()):
            return False
    networks.transformer.load_state_dict(load_file(folder / "transformer" / WEIGHTS))
    old_t5, old_clip = _pieces(folder)
    t5 = load_file(folder / "text_encoder_2" / "model.safetensors")
    clip = load_file(folder / "text_encoder" / "model.safetensors")
    for state, key, old, new, module in (
            (t5, "shared.weight", old_t5, vocabulary.t5_pieces, networks.t5),
            (clip, "text_model.embeddings.token_embedding.weight", old_clip,
             vocabulary.clip_tokens, networks.clip)):
        state[key] = _move_rows(state[key], old, new, module.state_dict()[key])
        module.load_state_dict(state)
    trainer.ema.load_state_dict(networks.state_dict())
    return True
