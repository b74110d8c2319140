"""The FLUX.1 transformer in plain PyTorch: diffusers' names of weights and its sequence of operations, and nothing else.

For machines that have torch and no diffusers. tools/bench/compare_torch.py --check compares it with diffusers' own.
"""

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional

SINUSOID = 256
EPS = 1e-6


@dataclasses.dataclass
class Sizes:
    """Fields of transformer/config.json; the defaults are FLUX.1-dev's."""

    num_layers: int = 19
    num_single_layers: int = 38
    num_attention_heads: int = 24
    axes_dims_rope: tuple = (16, 56, 56)
    in_channels: int = 64
    joint_attention_dim: int = 4096
    pooled_projection_dim: int = 768
    guidance_embeds: bool = True

    @property
    def head_dim(self):
        return sum(self.axes_dims_rope)

    @property
    def inner(self):
        return self.num_attention_heads * self.head_dim


def rope_table(sizes, ids):
    """ids [rows, 3] -> cos and sin, float32 [rows, head_dim], each angle twice."""
    angles = []
    for axis, width in enumerate(sizes.axes_dims_rope):
        exponent = torch.arange(0, width, 2, dtype=torch.float64, device=ids.device) / width
        angles.append(torch.outer(ids[:, axis].double(), 1.0 / 10000.0**exponent))
    angles = torch.cat(angles, 1).repeat_interleave(2, 1)
    return angles.cos().float(), angles.sin().float()


def rotate(x, cos, sin):
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([-b, a], -1).flatten(3)
    return (x.float() * cos[None, :, None] + turned.float() * sin[None, :, None]).to(x.dtype)


def modulate(x, shift, scale):
    return functional.layer_norm(x, x.shape[-1:], eps=EPS) * (1 + scale[:, None]) + shift[:, None]


class Modulation(nn.Module):
    def __init__(self, width, parts):
        super().__init__()
        self.parts, self.linear = parts, nn.Linear(width, parts * width)

    def forward(self, vector):
        return self.linear(functional.silu(vector)).chunk(self.parts, 1)


class Gelu(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.proj = nn.Linear(width, hidden)

    def forward(self, x):
        return functional.gelu(self.proj(x), approximate="tanh")


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.ModuleList([Gelu(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class Attention(nn.Module):
    def __init__(self, sizes, joint):
        super().__init__()
        width, self.heads, self.joint = sizes.inner, sizes.num_attention_heads, joint
        self.norm_q, self.norm_k = (nn.RMSNorm(sizes.head_dim, EPS) for _ in range(2))
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        if joint:
            self.norm_added_q, self.norm_added_k = (nn.RMSNorm(sizes.head_dim, EPS) for _ in range(2))
            self.add_q_proj, self.add_k_proj, self.add_v_proj = (nn.Linear(width, width) for _ in range(3))
            self.to_out = nn.ModuleList([nn.Linear(width, width)])
            self.to_add_out = nn.Linear(width, width)

    def forward(self, x, rope, text=None):
        def heads(linear, rows):
            return linear(rows).unflatten(-1, (self.heads, -1))

        q, k, v = self.norm_q(heads(self.to_q, x)), self.norm_k(heads(self.to_k, x)), heads(self.to_v, x)
        if self.joint:
            q = torch.cat([self.norm_added_q(heads(self.add_q_proj, text)), q], 1)
            k = torch.cat([self.norm_added_k(heads(self.add_k_proj, text)), k], 1)
            v = torch.cat([heads(self.add_v_proj, text), v], 1)
        q, k = rotate(q, *rope), rotate(k, *rope)
        out = functional.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        out = out.transpose(1, 2).flatten(2)
        if not self.joint:
            return out
        count = text.shape[1]
        return self.to_out[0](out[:, count:]), self.to_add_out(out[:, :count])


class DoubleBlock(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.norm1, self.norm1_context = (Modulation(sizes.inner, 6) for _ in range(2))
        self.attn = Attention(sizes, joint=True)
        self.ff, self.ff_context = (FeedForward(sizes.inner) for _ in range(2))

    def forward(self, x, text, vector, rope):
        image, words = self.norm1(vector), self.norm1_context(vector)
        a, b = self.attn(modulate(x, *image[:2]), rope, modulate(text, *words[:2]))

        def add(rows, attention, parts, feed_forward):
            rows = rows + parts[2][:, None] * attention
            return rows + parts[5][:, None] * feed_forward(modulate(rows, *parts[3:5]))

        return add(x, a, image, self.ff), add(text, b, words, self.ff_context)


class SingleBlock(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        width = sizes.inner
        self.norm, self.attn = Modulation(width, 3), Attention(sizes, joint=False)
        self.proj_mlp, self.proj_out = nn.Linear(width, 4 * width), nn.Linear(5 * width, width)

    def forward(self, x, vector, rope):
        shift, scale, gate = self.norm(vector)
        y = modulate(x, shift, scale)
        hidden = functional.gelu(self.proj_mlp(y), approximate="tanh")
        return x + gate[:, None] * self.proj_out(torch.cat([self.attn(y, rope), hidden], 2))


class Embedding(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(width, inner), nn.Linear(inner, inner)

    def forward(self, x):
        return self.linear_2(functional.silu(self.linear_1(x)))


class TimeText(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.timestep_embedder = Embedding(SINUSOID, sizes.inner)
        self.guidance_embedder = Embedding(SINUSOID, sizes.inner) if sizes.guidance_embeds else None
        self.text_embedder = Embedding(sizes.pooled_projection_dim, sizes.inner)

    @staticmethod
    def sinusoid(values, dtype):
        half = SINUSOID // 2
        exponent = torch.arange(half, dtype=torch.float32, device=values.device) * -math.log(10000.0) / half
        angle = values.float()[:, None] * exponent.exp()[None]
        return torch.cat([angle.cos(), angle.sin()], 1).to(dtype)

    def forward(self, timestep, guidance, pooled):
        vector = self.timestep_embedder(self.sinusoid(timestep, pooled.dtype))
        if self.guidance_embedder is not None:
            vector = vector + self.guidance_embedder(self.sinusoid(guidance, pooled.dtype))
        return vector + self.text_embedder(pooled)


class NormOut(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, 2 * width)

    def forward(self, x, vector):
        scale, shift = self.linear(functional.silu(vector)).chunk(2, 1)
        return modulate(x, shift, scale)


class PlainFlux(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes
        self.time_text_embed = TimeText(sizes)
        self.context_embedder = nn.Linear(sizes.joint_attention_dim, sizes.inner)
        self.x_embedder = nn.Linear(sizes.in_channels, sizes.inner)
        self.transformer_blocks = nn.ModuleList(DoubleBlock(sizes) for _ in range(sizes.num_layers))
        self.single_transformer_blocks = nn.ModuleList(SingleBlock(sizes) for _ in range(sizes.num_single_layers))
        self.norm_out = NormOut(sizes.inner)
        self.proj_out = nn.Linear(sizes.inner, sizes.in_channels)

    def forward(self, hidden_states, encoder_hidden_states, pooled_projections, timestep, img_ids, txt_ids, guidance):
        """As diffusers' FluxTransformer2DModel.forward: the velocity of the image rows."""
        dtype = hidden_states.dtype
        x, text = self.x_embedder(hidden_states), self.context_embedder(encoder_hidden_states)
        vector = self.time_text_embed(timestep.to(dtype) * 1000, guidance.to(dtype) * 1000, pooled_projections)
        rope = rope_table(self.sizes, torch.cat([txt_ids, img_ids]))
        for block in self.transformer_blocks:
            x, text = block(x, text, vector, rope)
        joint = torch.cat([text, x], 1)
        for block in self.single_transformer_blocks:
            joint = block(joint, vector, rope)
        return self.proj_out(self.norm_out(joint[:, text.shape[1]:], vector))
