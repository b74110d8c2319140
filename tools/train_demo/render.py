"""Draws scenes."""

import numpy as np
from PIL import Image, ImageDraw

from scenes import COLOURS

OVERSAMPLING = 2
RING_HOLE = 0.55  # of the ring's radius


def outline(shape, x, y, r):
    """The corners of a shape's polygon, which reaches at most 1.07 r from (x, y) along an axis."""
    if shape == "square":
        corners = [(-.88, -.88), (.88, -.88), (.88, .88), (-.88, .88)]
    elif shape == "diamond":
        corners = [(0, -1.07), (.8, 0), (0, 1.07), (-.8, 0)]
    elif shape == "triangle":
        corners = [(0, -1), (1.05, .8), (-1.05, .8)]
    elif shape == "star":
        turns = -np.pi / 2 + np.arange(10) * np.pi / 5
        reach = np.where(np.arange(10) % 2 == 0, 1.07, .46)
        corners = zip(reach * np.cos(turns), reach * np.sin(turns))
    elif shape == "cross":
        a, b = 1, .36
        corners = [(-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b),
                   (b, a), (-b, a), (-b, b), (-a, b), (-a, -b), (-b, -b)]
    elif shape == "heart":
        u = np.linspace(0, 2 * np.pi, 60)
        corners = zip(16 * np.sin(u) ** 3 / 15, -(13 * np.cos(u) - 5 * np.cos(2 * u)
                                                  - 2 * np.cos(3 * u) - np.cos(4 * u)) / 15)
    return [(float(x + r * cx), float(y + r * cy)) for cx, cy in corners]


def _draw(canvas, thing, side, palette, background):
    x, y, r = thing.x * side, thing.y * side, thing.radius * side
    colour = palette[thing.colour]
    if thing.shape in ("circle", "ring"):
        canvas.ellipse([x - r, y - r, x + r, y + r], fill=colour)
        if thing.shape == "ring":
            hole = r * RING_HOLE
            canvas.ellipse([x - hole, y - hole, x + hole, y + hole], fill=background)
    else:
        canvas.polygon(outline(thing.shape, x, y, r), fill=colour)


def render(scene, side, palette=COLOURS):
    """The picture of a scene, uint8 [side, side, 3]; `palette`: RGB by name."""
    large = side * OVERSAMPLING
    background = palette[scene.background]
    image = Image.new("RGB", (large, large), background)
    canvas = ImageDraw.Draw(image)
    for thing in scene.things:
        _draw(canvas, thing, large, palette, background)
    return np.asarray(image.resize((side, side), Image.BOX))
