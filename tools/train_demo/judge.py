"""Says what a picture shows, by colours, areas and outlines alone; knows nothing of the model.

    judge.py                       judges 1,000 rendered scenes and prints how many it reads right
    judge.py PICTURE.png ...       prints what each picture shows

A picture is cut into regions of one colour. Of each region the area and the centroid are taken, and
every shape's perfect outline of about that area is laid over it: the one that overlaps best names
shape, size and place.
"""

import dataclasses
import functools
import random
import sys

import numpy as np
from PIL import Image, ImageDraw

from render import RING_HOLE, outline, render
from scenes import COLOURS, PLACES, RADII, SHAPES, held_out_scene, training_scene

SIDE = 128            # pixels; larger pictures are reduced to it
COLOUR_LIMIT = 70.0   # RGB distance beyond which a pixel has no colour
LEAST_AREA = 60       # pixels; smaller regions are specks
SPECKS_LIMIT = 60     # pixels of other colours, borders aside, that a clean picture may hold
RIM = 3               # pixels around an object whose colours count as its edge
STRETCHES = (.92, .96, 1, 1.04, 1.08)  # of the radius that the area tells
FIT_LIMIT = 0.75      # least overlap of a region with its ideal outline
NAMES = list(COLOURS)
PALETTE = np.array([COLOURS[name] for name in NAMES], float)


@dataclasses.dataclass(frozen=True)
class Seen:
    """An object as the judge sees it; x, y and radius as in Thing."""

    shape: str
    colour: str
    size: str
    x: float
    y: float
    radius: float
    fit: float


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Objects from left to right, or from top to bottom when one is above the other."""

    background: str
    objects: tuple
    specks: int

    def agrees(self, scene):
        """Whether the picture shows all that the scene is, and nothing else."""
        if self.background != scene.background or len(self.objects) != len(scene.things):
            return False
        if self.specks > SPECKS_LIMIT:
            return False
        return all(
            (seen.shape, seen.colour, seen.size) == (thing.shape, thing.colour, thing.size)
            and place_of(seen) == thing.place and seen.fit >= FIT_LIMIT
            for seen, thing in zip(self.objects, scene.things))

    def __str__(self):
        objects = "; ".join(f"{seen.size} {seen.colour} {seen.shape} at {place_of(seen)} "
                            f"(fit {seen.fit:.2f})" for seen in self.objects)
        return f"{objects or 'nothing'} on {self.background}; {self.specks} specks"


def place_of(seen):
    return min(PLACES, key=lambda place: (PLACES[place][0] - seen.x) ** 2
               + (PLACES[place][1] - seen.y) ** 2)


def classify(picture):
    """Index of the nearest colour per pixel, [side, side]; -1 where none is near."""
    distance = np.linalg.norm(picture[:, :, None].astype(float) - PALETTE, axis=-1)
    return np.where(distance.min(-1) <= COLOUR_LIMIT, distance.argmin(-1), -1)


def regions(mask):
    """Four-connected regions of a mask, each a mask, largest first."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:  # every pixel takes the largest label of its neighbours, until nothing changes
        padded = np.pad(labels, 1)
        largest = np.maximum.reduce([labels, padded[:-2, 1:-1], padded[2:, 1:-1],
                                     padded[1:-1, :-2], padded[1:-1, 2:]]) * mask
        if (largest == labels).all():
            break
        labels = largest
    numbers, counts = np.unique(labels[labels > 0], return_counts=True)
    return [labels == number for number in numbers[np.argsort(-counts)]]


@functools.cache
def moments(shape):
    """Area and centroid of the shape of radius 1 around the origin."""
    radius = SIDE // 3
    mask = ideal(shape, SIDE / 2, SIDE / 2, radius)
    ys, xs = np.nonzero(mask)
    return (len(xs) / radius ** 2, (xs.mean() + .5 - SIDE / 2) / radius,
            (ys.mean() + .5 - SIDE / 2) / radius)


@functools.lru_cache(4096)
def ideal(shape, x, y, radius):
    """The mask of a perfect shape, [SIDE, SIDE]; x, y and radius in pixels."""
    scale = 4
    image = Image.new("L", (SIDE * scale, SIDE * scale))
    canvas = ImageDraw.Draw(image)
    if shape in ("circle", "ring"):
        for r, value in ((radius, 255), (radius * RING_HOLE, 0))[:1 + (shape == "ring")]:
            canvas.ellipse([(x - r) * scale, (y - r) * scale, (x + r) * scale, (y + r) * scale],
                           fill=value)
    else:
        canvas.polygon([(px * scale, py * scale) for px, py in outline(shape, x, y, radius)],
                       fill=255)
    return np.asarray(image.resize((SIDE, SIDE), Image.BOX)) > 127


def describe(mask, colour):
    """The object of a region of one colour: the ideal of about the region's area, at its centroid,
    that overlaps it best."""
    ys, xs = np.nonzero(mask)
    best = None
    for shape in SHAPES:
        area, x, y = moments(shape)
        for stretch in STRETCHES:
            radius = (len(xs) / area) ** .5 * stretch
            centre = xs.mean() + .5 - x * radius, ys.mean() + .5 - y * radius
            model = ideal(shape, *map(float, centre), float(radius))
            fit = (model & mask).sum() / (model | mask).sum()
            if best is None or fit > best.fit:
                size = min(RADII, key=lambda name: abs(np.log(RADII[name] * SIDE / radius)))
                best = Seen(shape, NAMES[colour], size, *(at / SIDE for at in centre),
                            radius / SIDE, float(fit))
    return best


def grown(mask, steps):
    """The mask and every pixel within so many steps of it."""
    for _ in range(steps):
        padded = np.pad(mask, 1)
        mask = (mask | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2]
                | padded[1:-1, 2:])
    return mask


def regions_of_things(colours, ground):
    """(mask, colour) of each one-coloured region off the background, rims left out.

    Between an object and its ground lies a rim of mixed colours, a pixel or two wide, which may
    look like a third colour: regions of which erosion leaves little are such rims.
    """
    found = []
    for colour in np.unique(colours[(colours != ground) & (colours >= 0)]):
        for mask in regions(colours == colour):
            if mask.sum() < LEAST_AREA:
                break
            if (~grown(~mask, 2)).sum() >= mask.sum() / 10:
                found.append((mask, int(colour)))
    return found


def judge(picture):
    """The verdict on a picture, uint8 [side, side, 3]."""
    if picture.shape[0] != SIDE:
        picture = np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.BOX))
    colours = classify(picture)
    border = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    border = border[border >= 0]
    if not len(border):
        return Verdict("none", (), colours.size)
    ground = int(np.bincount(border).argmax())
    claimed = colours == ground
    objects = []
    for mask, colour in regions_of_things(colours, ground):
        objects.append(describe(mask, colour))
        claimed |= grown(mask, RIM)
    apart = max((abs(a.x - b.x) - abs(a.y - b.y) for a in objects for b in objects), key=abs,
                default=0)
    objects.sort(key=lambda seen: seen.y if apart < 0 else seen.x)
    return Verdict(NAMES[ground], tuple(objects), int((~claimed).sum()))


def _read(path):
    return np.asarray(Image.open(path).convert("RGB"))


def main(paths):
    for path in paths:
        print(f"{path}: {judge(_read(path))}")
    if not paths:
        rng = random.Random(77)
        scenes = [(training_scene if i % 2 else held_out_scene)(rng) for i in range(1000)]
        right = 0
        for scene in scenes:
            verdict = judge(render(scene, SIDE))
            right += verdict.agrees(scene)
            if not verdict.agrees(scene):
                print(f"wrong: {verdict}\n   is: {scene}")
        print(f"{right} of 1000 rendered scenes read exactly right")


if __name__ == "__main__":
    main(sys.argv[1:])
