"""Scenes as small integers: what latents are stored with, and what the probes must tell."""

import torch
import torch.nn.functional as F
from torch import nn

from scenes import COLOURS, PLACES, RADII, RELATIONS, SHAPES, Scene, Thing

_COLOURS, _SIZES = list(COLOURS), list(RADII)
_LAYOUTS = [*PLACES, *RELATIONS]
# background, layout, then size, colour and shape of two things; the last class is "no such thing".
CLASSES = (len(_COLOURS), len(_LAYOUTS)) + (len(_SIZES) + 1, len(_COLOURS) + 1, len(SHAPES) + 1) * 2


def scene_labels(scene):
    """Eight integers that hold everything but the jitter."""
    labels = [_COLOURS.index(scene.background),
              _LAYOUTS.index(scene.relation or scene.things[0].place)]
    for thing in scene.things:
        labels += [_SIZES.index(thing.size), _COLOURS.index(thing.colour),
                   SHAPES.index(thing.shape)]
    return labels + [count - 1 for count in CLASSES[len(labels):]]


def labelled_scene(labels):
    """The scene of scene_labels, without jitter."""
    background, layout, *rest = labels
    layout = _LAYOUTS[layout]
    places = RELATIONS.get(layout, (layout,))
    things = []
    for place, (size, colour, shape) in zip(places, (rest[:3], rest[3:])):
        size = _SIZES[size]
        things.append(Thing(SHAPES[shape], _COLOURS[colour], size, place, *PLACES[place],
                            RADII[size]))
    return Scene(_COLOURS[background], tuple(things), layout if layout in RELATIONS else None)


class Probes(nn.Module):
    """Reads the labels off T5's states and off CLIP's pooled state; not exported. It teaches the
    encoders what belongs together long before the transformer's gradient does."""

    def __init__(self, t5_width, clip_width):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(len(CLASSES), t5_width) * t5_width ** -.5)
        self.from_t5 = nn.ModuleList([nn.Linear(t5_width, count) for count in CLASSES])
        self.from_clip = nn.ModuleList([nn.Linear(clip_width, count) for count in CLASSES])

    def forward(self, text, pooled, labels):
        """text [B, T, t5_width], pooled [B, clip_width], labels [B, 8]: the mean cross entropies
        and how many of the labels T5 and CLIP give right."""
        weights = (text @ self.queries.T).softmax(1)  # [B, T, 8]
        seen = weights.transpose(1, 2) @ text         # [B, 8, t5_width]
        loss, right = 0, []
        for source, heads in ((seen, self.from_t5), (pooled, self.from_clip)):
            logits = [head(source[:, i] if source.dim() == 3 else source).float()
                      for i, head in enumerate(heads)]
            loss += sum(F.cross_entropy(x, labels[:, i]) for i, x in enumerate(logits))
            right.append(torch.stack([(x.argmax(1) == labels[:, i]).float().mean()
                                      for i, x in enumerate(logits)]).mean().detach())
        return loss / len(CLASSES), right
