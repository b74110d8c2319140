"""The captions that a model is judged by: each holds a colour-shape pair never trained on."""

import random

from captions import caption
from scenes import HELD_OUT_PAIRS, held_out_scene, training_scene

COUNT = 500
TWO_OBJECTS = 225  # of them


def held_out_captions():
    """[(scene, caption)], always the same; the seed of a caption's picture is its index."""
    rng = random.Random("held out")
    scenes = [held_out_scene(rng, two_objects=float(i < TWO_OBJECTS)) for i in range(COUNT)]
    rng.shuffle(scenes)
    check_apart(scenes)
    return [(scene, caption(rng, scene)) for scene in scenes]


def check_apart(scenes):
    """Asserts that the pairs judged by and those trained on have nothing in common."""
    assert all(scene.has_held_out_pair for scene in scenes)
    assert sum(len(scene.things) == 2 for scene in scenes) >= .4 * len(scenes)
    rng = random.Random("training")
    trained = {thing.pair for _ in range(20000) for thing in training_scene(rng).things}
    assert not trained & HELD_OUT_PAIRS
