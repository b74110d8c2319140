"""Writes the figures of evaluate.py as Markdown, with a plot in SVG."""

from plot import lines

TITLES = {"num_inference_steps": "steps", "sync_steps": "sync_steps",
          "refresh_every": "refresh_every", "text_mode": "text mode"}
HEAD = """# Quality

Measured on `models/shapes` ([its card](../models/shapes/README.md)) by
`tools/train_demo/evaluate --report docs/quality.md`, which writes this page.

## Adherence to the prompt

There are {captions} captions, {two} of them with two objects. Each caption has a pair of colour and shape
that training never showed. A judge (tools/train_demo/judge.py), which knows nothing of the model,
looks at each picture. A picture counts if the judge sees everything that the caption says and
nothing else. Each picture is the PNG of a running server with N worker processes; {steps} steps,
sync_steps {sync}, no refresh, text split.

"""
GALLERY = """
![The same prompts and seed on 1, 2 and 4 workers](quality.png)

The rows were made by 1, 2 and 4 worker processes with the same seed. The prompts, from left to right:

{prompts}
"""
MIDDLE = """
## Likeness to one device

The tables compare pictures with the picture of N=1 for the same seed and steps, by PSNR and SSIM.
A figure is the mean over the first {compared} captions; equal pictures count 60 dB.

- **Rotating** is what Tessera does; the pictures are PNGs of the server.
- **Fixed** is a baseline in which every device keeps its chunk for all steps. It never refreshes
  what it holds of the other chunks. tests/reference/rotating_parallel.py simulates it; the rotating
  pictures of that program are equal to the server's.

![PSNR against N=1 by setting](quality.svg)

Each table changes one setting; the others are {steps} steps, sync_steps {sync}, refresh_every {refresh}, text
split.

"""


def _table(head, rows):
    lines_ = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines_ + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def _value(name, value):
    return str(value).removeprefix("TEXT_MODE_").lower() if name == "text_mode" else value


def _sweep(figures, name):
    """The rows in which only `name` differs from the base, in the order of its values."""
    base = figures["base"]
    rows = [row for row in figures["quality"]
            if all(row[key] == value for key, value in base.items() if key != name)]
    if name == "refresh_every":  # 0 means never
        return sorted(rows, key=lambda row: -(row[name] or 1000))
    return rows if name == "text_mode" else sorted(rows, key=lambda row: row[name])


def adherence_table(figures):
    exact = figures["adherence"][0]["all"]
    head = ["N", "all", "change", "one object", "two objects", "background", "number of objects",
            "colours", "shapes", "sizes"]
    keys = ["one", "two", "background", "number of objects", "colours", "shapes", "sizes"]
    return _table(head, [
        [row["ranks"], f"{row['all']:.1%}", f"{100 * (row['all'] - exact):+.1f} points",
         *(f"{row[key]:.1%}" for key in keys)] for row in figures["adherence"]])


def quality_tables(figures):
    parts = []
    for name, title in TITLES.items():
        rows = [[_value(name, row[name]), row["ranks"],
                 f"{row['rotating']['psnr_db']:.1f}", f"{row['rotating']['ssim']:.3f}",
                 f"{row['fixed']['psnr_db']:.1f}", f"{row['fixed']['ssim']:.3f}"]
                for row in _sweep(figures, name)]
        parts.append(_table([title, "N", "rotating, dB", "rotating, SSIM", "fixed, dB",
                             "fixed, SSIM"], rows))
    return "\n".join(parts)


def _plot(figures):
    panels = []
    for name, title in TITLES.items():
        rows = _sweep(figures, name)
        values = list(dict.fromkeys(_value(name, row[name]) for row in rows))
        curves = {}
        for ranks in sorted({row["ranks"] for row in rows}):
            for kind in ("rotating", "fixed"):
                curves[f"N={ranks} {kind}"] = [
                    row[kind]["psnr_db"] for row in rows if row["ranks"] == ranks]
        panels.append((title, values, curves))
    return lines(panels, "PSNR against N=1, dB")


def write_report(path, figures):
    base = figures["base"]
    words = {"captions": figures["captions"], "two": figures["two"],
             "compared": figures["compared"], "steps": base["num_inference_steps"],
             "sync": base["sync_steps"], "refresh": base["refresh_every"]}
    text = HEAD.format(**words) + adherence_table(figures)
    text += GALLERY.format(prompts="\n".join(f"{i}. {prompt}" for i, prompt in enumerate(figures["gallery"], 1)))
    if "quality" in figures:
        text += MIDDLE.format(**words) + quality_tables(figures)
        path.with_suffix(".svg").write_text(_plot(figures))
    path.write_text(text)
