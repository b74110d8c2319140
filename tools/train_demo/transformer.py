"""The FLUX transformer in plain torch, with the parameter names of diffusers.

B batch, T text tokens, L image tokens, D = heads x head_dim. Numerically the same as diffusers'
FluxTransformer2DModel (see test_models.py), and faster on a CPU.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Named(nn.Module):
    """Holds parts under names that are set from outside; makes nested parameter names."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class RmsScale(nn.Module):
    """The weight of a root-mean-square norm over the last dimension."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), 1e-6)


def _norm(x, scale, shift):
    """LayerNorm without weights, then modulated: x [B, n, D]; scale, shift [B, D]."""
    return torch.addcmul(shift[:, None], F.layer_norm(x, x.shape[-1:], eps=1e-6),
                         1 + scale[:, None])


def _mlp(width, hidden):
    return Named(net=nn.ModuleList([Named(proj=nn.Linear(width, hidden)), nn.Identity(),
                                    nn.Linear(hidden, width)]))


def _run_mlp(mlp, x):
    return mlp.net[2](F.gelu(mlp.net[0].proj(x), approximate="tanh"))


def rotary_table(height, width, text_tokens, axes, device=None):
    """Turns of a grid of height x width image tokens, complex [T + L, 1, 1, head_dim / 2]."""
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    ids = torch.stack([torch.zeros_like(ys), ys, xs], -1).reshape(-1, 3)
    ids = torch.cat([torch.zeros(text_tokens, 3, dtype=ids.dtype), ids]).double()
    angles = torch.cat([ids[:, i, None] * 10000 ** (-torch.arange(0, axis, 2).double() / axis)
                        for i, axis in enumerate(axes)], -1)
    turns = torch.polar(torch.ones_like(angles), angles).to(torch.complex64)
    return turns[:, None, None].to(device)


def _project(x, heads, layers, norms):
    """Queries and keys, normed, float32 [B, n, 2, heads, head_dim], and values."""
    weight = torch.cat([layer.weight for layer in layers])
    bias = torch.cat([layer.bias for layer in layers])
    qkv = F.linear(x, weight, bias).unflatten(-1, (3, heads, -1))
    qk = F.rms_norm(qkv[:, :, :2].float(), qkv.shape[-1:], eps=1e-6)
    return qk * torch.stack([norm.weight for norm in norms])[:, None], qkv[:, :, 2]


def attention(q, k, v, bias=None, scale=None):
    """[B, heads, n, head_dim]; on a CPU two products, whose backward pass is several times faster
    for short sequences in bfloat16 than that of the fused one."""
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
    scores = (q * (scale or q.shape[-1] ** -.5)) @ k.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    return scores.softmax(-1).to(v.dtype) @ v


def _attend(qk, v, turns):
    """qk [B, n, 2, heads, head_dim], v [B, n, heads, head_dim]; returns [B, n, D]."""
    pairs = torch.view_as_complex(qk.unflatten(-1, (-1, 2))) * turns
    q, k = torch.view_as_real(pairs).flatten(-2).to(v.dtype).permute(2, 0, 3, 1, 4)
    return attention(q, k, v.transpose(1, 2)).transpose(1, 2).flatten(-2)


class DoubleBlock(nn.Module):
    """Text and image have weights of their own and one attention."""

    def __init__(self, heads, head_dim):
        super().__init__()
        width = heads * head_dim
        self.heads = heads
        self.norm1 = Named(linear=nn.Linear(width, 6 * width))
        self.norm1_context = Named(linear=nn.Linear(width, 6 * width))
        linear = ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
        self.attn = Named(
            **{name: nn.Linear(width, width) for name in linear},
            to_out=nn.ModuleList([nn.Linear(width, width)]),
            **{name: RmsScale(head_dim)
               for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k")})
        self.ff = _mlp(width, 4 * width)
        self.ff_context = _mlp(width, 4 * width)

    def forward(self, image, text, time, turns):
        shift, scale, gate, shift2, scale2, gate2 = self.norm1.linear(time).chunk(6, -1)
        text_mod = self.norm1_context.linear(time).chunk(6, -1)
        attn = self.attn
        qk, v = _project(_norm(image, scale, shift), self.heads,
                         (attn.to_q, attn.to_k, attn.to_v), (attn.norm_q, attn.norm_k))
        text_qk, text_v = _project(
            _norm(text, text_mod[1], text_mod[0]), self.heads,
            (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj),
            (attn.norm_added_q, attn.norm_added_k))
        out = _attend(torch.cat([text_qk, qk], 1), torch.cat([text_v, v], 1), turns)
        text_out, out = out.split([text.shape[1], image.shape[1]], 1)
        image = torch.addcmul(image, gate[:, None], attn.to_out[0](out))
        image = torch.addcmul(image, gate2[:, None],
                              _run_mlp(self.ff, _norm(image, scale2, shift2)))
        text = torch.addcmul(text, text_mod[2][:, None], attn.to_add_out(text_out))
        text = torch.addcmul(text, text_mod[5][:, None],
                             _run_mlp(self.ff_context, _norm(text, text_mod[4], text_mod[3])))
        return image, text


class SingleBlock(nn.Module):
    """One sequence, text first; attention and MLP side by side."""

    def __init__(self, heads, head_dim):
        super().__init__()
        width = heads * head_dim
        self.heads = heads
        self.norm = Named(linear=nn.Linear(width, 3 * width))
        self.proj_mlp = nn.Linear(width, 4 * width)
        self.proj_out = nn.Linear(5 * width, width)
        self.attn = Named(**{name: nn.Linear(width, width) for name in ("to_q", "to_k", "to_v")},
                          norm_q=RmsScale(head_dim), norm_k=RmsScale(head_dim))

    def forward(self, x, time, turns):
        shift, scale, gate = self.norm.linear(time).chunk(3, -1)
        y = _norm(x, scale, shift)
        attn = self.attn
        qk, v = _project(y, self.heads, (attn.to_q, attn.to_k, attn.to_v),
                         (attn.norm_q, attn.norm_k))
        out = _attend(qk, v, turns)
        out = torch.cat([out, F.gelu(self.proj_mlp(y), approximate="tanh")], -1)
        return torch.addcmul(x, gate[:, None], self.proj_out(out))


def _embedder(width_in, width):
    return Named(linear_1=nn.Linear(width_in, width), linear_2=nn.Linear(width, width))


def _embed(embedder, x):
    return embedder.linear_2(F.silu(embedder.linear_1(x)))


def _sinusoid(t):
    """t [B] in 0..1 -> [B, 256], cosines first."""
    angles = 1000 * t[:, None] * torch.exp(
        -math.log(10000) / 128 * torch.arange(128, device=t.device))
    return torch.cat([angles.cos(), angles.sin()], -1)


class Transformer(nn.Module):
    """`config`: the dictionary of transformer/config.json; without a guidance embedder."""

    def __init__(self, config):
        super().__init__()
        heads, head_dim = config["num_attention_heads"], config["attention_head_dim"]
        width, channels = heads * head_dim, config["in_channels"]
        self.axes = config["axes_dims_rope"]
        self.x_embedder = nn.Linear(channels, width)
        self.context_embedder = nn.Linear(config["joint_attention_dim"], width)
        self.time_text_embed = Named(
            timestep_embedder=_embedder(256, width),
            text_embedder=_embedder(config["pooled_projection_dim"], width))
        self.transformer_blocks = nn.ModuleList(
            [DoubleBlock(heads, head_dim) for _ in range(config["num_layers"])])
        self.single_transformer_blocks = nn.ModuleList(
            [SingleBlock(heads, head_dim) for _ in range(config["num_single_layers"])])
        self.norm_out = Named(linear=nn.Linear(width, 2 * width))
        self.proj_out = nn.Linear(width, channels)

    def forward(self, image, text, pooled, t, turns):
        """image [B, L, channels], text [B, T, joint], pooled [B, P], t [B] in 0..1, `turns` of
        rotary_table: the velocity noise - picture, [B, L, channels]."""
        embed = self.time_text_embed
        time = F.silu(_embed(embed.timestep_embedder, _sinusoid(t)) +
                      _embed(embed.text_embedder, pooled))
        image, text = self.x_embedder(image), self.context_embedder(text)
        for block in self.transformer_blocks:
            image, text = block(image, text, time, turns)
        x = torch.cat([text, image], 1)
        for block in self.single_transformer_blocks:
            x = block(x, time, turns)
        scale, shift = self.norm_out.linear(time).chunk(2, -1)
        return self.proj_out(_norm(x[:, text.shape[1]:], scale, shift))
