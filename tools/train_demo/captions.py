"""A grammar of captions with paraphrases.

A caption says everything that a scene is, but for sizes of medium and places in the centre, which
it may leave out.
"""

SIZE_WORDS = {"small": ("small", "small", "little", "tiny"), "medium": ("",),
              "large": ("large", "large", "big", "huge")}
PLACE_WORDS = {
    "center": ("", "", "in the middle", "in the center"),
    "left": ("on the left", "on the left side", "at the left"),
    "right": ("on the right", "on the right side", "at the right"),
    "top": ("at the top", "at the top", "near the top"),
    "bottom": ("at the bottom", "at the bottom", "near the bottom")}
PLACE_WORDS |= {
    f"{row} {side}": (f"in the {row} {side} corner", f"in the {row} {side} corner",
                      f"in the {other} {side} corner", f"at the {row} {side}")
    for row, other in (("top", "upper"), ("bottom", "lower")) for side in ("left", "right")}
RELATION_WORDS = {  # first to second, second to first
    "left of": (("to the left of", "to the left of", "left of"),
                ("to the right of", "to the right of", "right of")),
    "above": (("above", "above", "over"), ("below", "below", "under"))}
ATTACHED_WORDS = {  # the second seen from the first, the first seen from the second
    "left of": ("to its right", "to its left"), "above": ("below it", "above it")}
OPENINGS = ("", "", "", "", "", "", "", "a picture of ", "an image of ", "a drawing of ")


def _a(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def _noun(rng, thing):
    return _a(f"{rng.choice(SIZE_WORDS[thing.size])} {thing.colour} {thing.shape}".strip())


def _objects(rng, scene):
    nouns = [_noun(rng, thing) for thing in scene.things]
    if scene.relation is None:
        return f"{nouns[0]} {rng.choice(PLACE_WORDS[scene.things[0].place])}".strip()
    turned = rng.random() < .5
    if rng.random() < .15:
        first, second = reversed(nouns) if turned else nouns
        return f"{first} and {second} {ATTACHED_WORDS[scene.relation][turned]}"
    words = rng.choice(RELATION_WORDS[scene.relation][turned])
    return f" {words} ".join(reversed(nouns) if turned else nouns)


def caption(rng, scene):
    """One of the ways to say `scene`; at most 23 pieces of the tokenizers trained on it."""
    objects = _objects(rng, scene)
    ground = _a(scene.background)
    draw = rng.random()
    if draw < .12:
        return f"{ground} background with {objects}"
    opening = rng.choice(OPENINGS)
    if draw < .7:
        return f"{opening}{objects} on {ground} background"
    if draw < .8:
        return f"{opening}{objects} against {ground} background"
    if draw < .9:
        return f"{opening}{objects}, {scene.background} background"
    return f"{opening}{objects} on {scene.background}"
