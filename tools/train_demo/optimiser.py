"""Muon for the matrices inside the networks, AdamW for everything else.

Muon: momentum whose matrices are made near orthogonal by a Newton-Schulz iteration (Jordan 2024),
scaled so that its step is as large as Adam's (Liu et al. 2025, "Muon is scalable").
"""

from collections import defaultdict

import torch

ADAM_PARTS = ("embed", "norm", "queries", "from_", "shared", "relative_attention_bias")


def _orthogonal(x):
    """x [n, rows, columns] -> about the nearest semi-orthogonal matrices."""
    turned = x.shape[-2] > x.shape[-1]
    x = x.mT if turned else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if turned else x


class Muon(torch.optim.Optimizer):
    """For matrices only; those of one shape are worked on together."""

    def __init__(self, parameters, lr, momentum=.95, weight_decay=.01):
        super().__init__(parameters, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            shapes = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    shapes[p.shape].append(p)
            for shape, members in shapes.items():
                updates = []
                for p in members:
                    state = self.state[p]
                    if not state:
                        state["momentum"] = torch.zeros_like(p)
                    state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(state["momentum"], group["momentum"]))
                updates = torch.stack(updates)
                updates = _orthogonal(updates.bfloat16()).to(updates.dtype)
                scale = .2 * max(shape) ** .5 * group["lr"]
                torch._foreach_mul_(members, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(members, list(updates.unbind()), alpha=-scale)


def make_optimisers(modules, muon_lr, adam_lr):
    """Two optimisers; each group keeps its peak rate under "peak"."""
    matrices, others = [], []
    for name, p in modules.named_parameters():
        inside = "block" in name or ".layers." in name
        inside = inside and p.dim() == 2 and not any(part in name for part in ADAM_PARTS)
        (matrices if inside else others).append(p)
    optimisers = [Muon(matrices, muon_lr),
                  torch.optim.AdamW(others, adam_lr, betas=(.9, .98), weight_decay=.01)]
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers
