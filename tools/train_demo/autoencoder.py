"""AutoencoderKL in plain torch, with the parameter names of diffusers.

Pictures [B, 3, H, W] in -1..1; latents [B, 16, H / 8, W / 8].
"""

import torch
import torch.nn.functional as F
from torch import nn

from transformer import Named


class Residual(nn.Module):
    def __init__(self, channels_in, channels, groups):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels_in, 1e-6)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels, 1e-6)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        if channels_in != channels:
            self.conv_shortcut = nn.Conv2d(channels_in, channels, 1)

    def forward(self, x):
        y = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return y + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Attention(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, 1e-6)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x):
        y = self.group_norm(x).flatten(2).transpose(1, 2)  # [B, H W, channels]
        y = F.scaled_dot_product_attention(self.to_q(y)[:, None], self.to_k(y)[:, None],
                                           self.to_v(y)[:, None])[:, 0]
        return x + self.to_out[0](y).transpose(1, 2).view_as(x)


class Middle(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.resnets = nn.ModuleList([Residual(channels, channels, groups) for _ in range(2)])
        self.attentions = nn.ModuleList([Attention(channels, groups)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Level(nn.Module):
    """Residuals, then halving or doubling of the side, or neither."""

    def __init__(self, channels_in, channels, count, groups, resize=None):
        super().__init__()
        self.resnets = nn.ModuleList([Residual(channels if i else channels_in, channels, groups)
                                      for i in range(count)])
        if resize == "down":
            conv = nn.Conv2d(channels, channels, 3, stride=2)
            self.downsamplers = nn.ModuleList([Named(conv=conv)])
        elif resize == "up":
            conv = nn.Conv2d(channels, channels, 3, padding=1)
            self.upsamplers = nn.ModuleList([Named(conv=conv)])

    def forward(self, x):
        for resnet in self.resnets:
            x = resnet(x)
        if hasattr(self, "downsamplers"):
            x = self.downsamplers[0].conv(F.pad(x, (0, 1, 0, 1)))
        if hasattr(self, "upsamplers"):
            x = self.upsamplers[0].conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return x


class Autoencoder(nn.Module):
    """`config`: the dictionary of vae/config.json."""

    def __init__(self, config):
        super().__init__()
        widths, groups = config["block_out_channels"], config["norm_num_groups"]
        layers, latent = config["layers_per_block"], config["latent_channels"]
        self.scaling, self.shift = config["scaling_factor"], config["shift_factor"]
        last = len(widths) - 1
        self.encoder = Named(
            conv_in=nn.Conv2d(3, widths[0], 3, padding=1),
            down_blocks=nn.ModuleList([
                Level(widths[max(i - 1, 0)], width, layers, groups, "down" if i < last else None)
                for i, width in enumerate(widths)]),
            mid_block=Middle(widths[-1], groups),
            conv_norm_out=nn.GroupNorm(groups, widths[-1], 1e-6),
            conv_out=nn.Conv2d(widths[-1], 2 * latent, 3, padding=1))
        up = widths[::-1]
        self.decoder = Named(
            conv_in=nn.Conv2d(latent, up[0], 3, padding=1), mid_block=Middle(up[0], groups),
            up_blocks=nn.ModuleList([
                Level(up[max(i - 1, 0)], width, layers + 1, groups, "up" if i < last else None)
                for i, width in enumerate(up)]),
            conv_norm_out=nn.GroupNorm(groups, up[-1], 1e-6),
            conv_out=nn.Conv2d(up[-1], 3, 3, padding=1))

    def moments(self, pictures):
        """Mean and log-variance of the latents, before scaling."""
        x, part = self.encoder.conv_in(pictures), self.encoder
        for level in part.down_blocks:
            x = level(x)
        x = part.conv_out(F.silu(part.conv_norm_out(part.mid_block(x))))
        mean, log_variance = x.chunk(2, 1)
        return mean, log_variance.clamp(-30, 20)

    def picture(self, latents):
        """From latents before scaling."""
        part = self.decoder
        x = part.mid_block(part.conv_in(latents))
        for level in part.up_blocks:
            x = level(x)
        return part.conv_out(F.silu(part.conv_norm_out(x)))

    def encode(self, pictures):
        """Image tokens [B, H / 16 x W / 16, 64], scaled, as the transformer takes them."""
        x = (self.moments(pictures)[0] - self.shift) * self.scaling
        x = F.pixel_unshuffle(x, 2)  # [B, 64, H / 16, W / 16], feature 4 channel + 2 dy + dx
        return x.flatten(2).transpose(1, 2)

    def decode(self, tokens, height, width):
        """The inverse of encode; height and width in pixels."""
        x = tokens.transpose(1, 2).unflatten(2, (height // 16, width // 16))
        return self.picture(F.pixel_shuffle(x, 2) / self.scaling + self.shift)
