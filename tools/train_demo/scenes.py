"""Synthetic scenes: one or two coloured shapes on a plain background.

Lengths are fractions of the picture's side, x to the right and y down.
"""

import dataclasses

COLOURS = {
    "red": (220, 40, 40), "green": (40, 170, 70), "blue": (40, 80, 220), "yellow": (245, 215, 50),
    "orange": (245, 140, 30), "purple": (140, 60, 180), "pink": (250, 140, 190),
    "cyan": (60, 205, 220), "white": (248, 248, 248), "black": (18, 18, 18),
    "gray": (130, 130, 130), "brown": (125, 80, 45)}
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "diamond", "heart")
RADII = {"small": 0.12, "medium": 0.165, "large": 0.22}
PLACES = {
    "center": (.5, .5), "left": (.25, .5), "right": (.75, .5), "top": (.5, .25),
    "bottom": (.5, .75), "top left": (.25, .25), "top right": (.75, .25),
    "bottom left": (.25, .75), "bottom right": (.75, .75)}
RELATIONS = {"left of": ("left", "right"), "above": ("top", "bottom")}  # places of first, second

# Never drawn in training: every shape and eight colours lose one pair each.
HELD_OUT_PAIRS = frozenset({
    ("red", "heart"), ("green", "square"), ("blue", "star"), ("yellow", "diamond"),
    ("orange", "ring"), ("purple", "cross"), ("cyan", "triangle"), ("white", "circle")})

JITTER = 0.012      # of a centre, either way
STRETCH = 0.04      # of a radius, relative, either way
TWO_OBJECTS = 0.5   # share of scenes


@dataclasses.dataclass(frozen=True)
class Thing:
    shape: str
    colour: str
    size: str
    place: str
    x: float
    y: float
    radius: float

    @property
    def pair(self):
        return self.colour, self.shape


@dataclasses.dataclass(frozen=True)
class Scene:
    """`things` has one element, or two in the order of RELATIONS[relation]."""

    background: str
    things: tuple
    relation: str | None = None

    @property
    def has_held_out_pair(self):
        return any(thing.pair in HELD_OUT_PAIRS for thing in self.things)


def _thing(rng, colour, place, sizes):
    x, y = PLACES[place]
    size = rng.choices(list(RADII), sizes)[0]
    return Thing(rng.choice(SHAPES), colour, size, place,
                 x + rng.uniform(-JITTER, JITTER), y + rng.uniform(-JITTER, JITTER),
                 RADII[size] * rng.uniform(1 - STRETCH, 1 + STRETCH))


def _any_scene(rng, two_objects):
    background, *colours = rng.sample(list(COLOURS), 3)
    if rng.random() < two_objects:
        relation = rng.choice(list(RELATIONS))
        things = tuple(_thing(rng, colour, place, (1, 2, 1))
                       for colour, place in zip(colours, RELATIONS[relation]))
        return Scene(background, things, relation)
    place = "center" if rng.random() < .25 else rng.choice(list(PLACES))
    return Scene(background, (_thing(rng, colours[0], place, (1, 1, 1)),))


def training_scene(rng, two_objects=TWO_OBJECTS):
    """A scene without any held-out pair. `two_objects`: the share of scenes of two."""
    while (scene := _any_scene(rng, two_objects)).has_held_out_pair:
        pass
    return scene


def held_out_scene(rng, two_objects=TWO_OBJECTS):
    """A scene with at least one held-out pair."""
    while not (scene := _any_scene(rng, two_objects)).has_held_out_pair:
        pass
    return scene
