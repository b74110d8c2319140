"""CLIP's and T5's text encoders in plain torch, with the parameter names of transformers."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from transformer import Named, RmsScale, attention


def _split(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, heads, n, head_dim]


class ClipLayer(nn.Module):
    def __init__(self, width, hidden, heads):
        super().__init__()
        self.heads = heads
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        self.self_attn = Named(**{name: nn.Linear(width, width) for name in names})
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = Named(fc1=nn.Linear(width, hidden), fc2=nn.Linear(hidden, width))

    def forward(self, x, causal):
        y, attn = self.layer_norm1(x), self.self_attn
        q, k, v = (_split(part(y), self.heads) for part in (attn.q_proj, attn.k_proj, attn.v_proj))
        out = attention(q, k, v, causal.to(q.dtype))
        x = x + attn.out_proj(out.transpose(1, 2).flatten(-2))
        y = self.mlp.fc1(self.layer_norm2(x))
        return x + self.mlp.fc2(y * torch.sigmoid(1.702 * y))


class Clip(nn.Module):
    """`config`: the dictionary of text_encoder/config.json."""

    def __init__(self, config):
        super().__init__()
        width = config["hidden_size"]
        self.end = config["eos_token_id"]
        layers = [ClipLayer(width, config["intermediate_size"], config["num_attention_heads"])
                  for _ in range(config["num_hidden_layers"])]
        self.text_model = Named(
            embeddings=Named(
                token_embedding=nn.Embedding(config["vocab_size"], width),
                position_embedding=nn.Embedding(config["max_position_embeddings"], width)),
            encoder=Named(layers=nn.ModuleList(layers)), final_layer_norm=nn.LayerNorm(width))
        nn.init.normal_(self.text_model.embeddings.token_embedding.weight, std=.1)
        nn.init.normal_(self.text_model.embeddings.position_embedding.weight, std=.05)

    def forward(self, ids):
        """ids [B, n] with an end token each -> the first end token's state, [B, width]. What comes
        after it is not seen, so that ids may be cut short of the 77 of inference."""
        embeddings = self.text_model.embeddings
        x = embeddings.token_embedding(ids) + embeddings.position_embedding.weight[:ids.shape[1]]
        causal = x.new_full((ids.shape[1],) * 2, -math.inf).triu(1)
        for layer in self.text_model.encoder.layers:
            x = layer(x, causal)
        rows = torch.arange(len(ids), device=ids.device)
        return self.text_model.final_layer_norm(x[rows, (ids == self.end).int().argmax(1)])


class T5Block(nn.Module):
    def __init__(self, config, first):
        super().__init__()
        width, hidden = config["d_model"], config["d_ff"]
        self.heads, inner = config["num_heads"], config["num_heads"] * config["d_kv"]
        attention = {name: nn.Linear(width, inner, bias=False) for name in "qkv"}
        attention["o"] = nn.Linear(inner, width, bias=False)
        if first:
            attention["relative_attention_bias"] = nn.Embedding(32, self.heads)
        dense = Named(wi_0=nn.Linear(width, hidden, bias=False),
                      wi_1=nn.Linear(width, hidden, bias=False),
                      wo=nn.Linear(hidden, width, bias=False))
        self.layer = nn.ModuleList([
            Named(SelfAttention=Named(**attention), layer_norm=RmsScale(width)),
            Named(DenseReluDense=dense, layer_norm=RmsScale(width))])

    def forward(self, x, bias):
        attn, y = self.layer[0].SelfAttention, self.layer[0].layer_norm(x)
        q, k, v = (_split(part(y), self.heads) for part in (attn.q, attn.k, attn.v))
        out = attention(q, k, v, bias.to(q.dtype), scale=1.0)
        x = x + attn.o(out.transpose(1, 2).flatten(-2))
        dense, y = self.layer[1].DenseReluDense, self.layer[1].layer_norm(x)
        return x + dense.wo(F.gelu(dense.wi_0(y), approximate="tanh") * dense.wi_1(y))


def buckets(n):
    """T5's bucket of each distance key - query, [n, n]."""
    def bucket(distance):
        far = abs(distance)
        if far >= 8:
            far = min(15, 8 + int(math.log(far / 8) / math.log(16) * 8))
        return far + (16 if distance > 0 else 0)
    return torch.tensor([[bucket(key - query) for key in range(n)] for query in range(n)])


class T5(nn.Module):
    """`config`: the dictionary of text_encoder_2/config.json."""

    def __init__(self, config):
        super().__init__()
        self.shared = nn.Embedding(config["vocab_size"], config["d_model"])
        nn.init.normal_(self.shared.weight, std=.5)
        self.encoder = Named(
            block=nn.ModuleList([T5Block(config, i == 0) for i in range(config["num_layers"])]),
            final_layer_norm=RmsScale(config["d_model"]))
        for block in self.encoder.block:  # no 1/sqrt(d) in the attention: start with small queries
            nn.init.normal_(block.layer[0].SelfAttention.q.weight,
                            std=(config["d_model"] * config["d_kv"]) ** -.5)
        self.register_buffer("buckets", buckets(512), persistent=False)

    def forward(self, ids):
        """ids [B, T], padding included -> [B, T, d_model]; no mask, as in FLUX."""
        n = ids.shape[1]
        table = self.encoder.block[0].layer[0].SelfAttention.relative_attention_bias
        bias = table(self.buckets[:n, :n]).permute(2, 0, 1)[None]  # [1, heads, T, T]
        x = self.shared(ids)
        for block in self.encoder.block:
            x = block(x, bias)
        return self.encoder.final_layer_norm(x)
