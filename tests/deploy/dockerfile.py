"""Reads the part of Dockerfile syntax that Tessera's own uses; anything else is an error, not a guess."""

import dataclasses
import re
import shlex

WORDS = {"ARG", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "WORKDIR"}


@dataclasses.dataclass
class Step:
    word: str  # RUN, COPY, ...
    flags: dict  # of --name=value, by name
    mounts: list  # of --mount=, each by its own names
    text: str  # all that follows


@dataclasses.dataclass
class Stage:
    name: str
    base: str  # another stage, or an image's public name
    steps: list


def _lines(text):
    """Logical lines, without comments."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line.strip() for line in "\n".join(kept).replace("\\\n", " ").splitlines() if line.strip()]


def _step(line):
    word, rest = line.split(None, 1)
    if word not in WORDS:
        raise ValueError(f"{word}: not known here: {line}")
    flags, mounts = {}, []
    while word in ("COPY", "RUN", "HEALTHCHECK") and (flag := re.match(r"--(\w[\w-]*)=(\S+)\s+", rest)):
        if flag[1] == "mount":
            mounts.append(assignments(flag[2].replace(",", " ")))
        else:
            flags[flag[1]] = flag[2]
        rest = rest[flag.end():]
    return Step(word, flags, mounts, rest)


def assignments(text):
    """The pairs of `NAME=VALUE NAME="VALUE"`."""
    return dict(part.split("=", 1) for part in shlex.split(text))


def read_stages(text):
    """Stages by name, in the order of the file."""
    arguments, stages, stage = {}, {}, None
    for line in _lines(text):
        if found := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            base = re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], found[1])
            stage = stages[found[2]] = Stage(found[2], base, [])
        elif stage is None:
            step = _step(line)
            assert step.word == "ARG", line
            arguments.update(assignments(step.text))
        else:
            stage.steps.append(_step(line))
    return stages
