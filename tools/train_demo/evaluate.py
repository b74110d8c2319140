"""Measures models/shapes through running Tessera servers. See tools/train_demo/evaluate."""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from baseline import Simulation
from held_out import held_out_captions
from judge import judge
from likeness import psnr, ssim
from report import write_report
from tessera_server import ROOT, TesseraServer

BASE = {"num_inference_steps": 16, "sync_steps": 1, "refresh_every": 0,
        "text_mode": "TEXT_MODE_SPLIT"}
SWEEPS = {  # one setting at a time, the others as in BASE
    "num_inference_steps": (4, 8, 16, 32),
    "sync_steps": (1, 2, 4, 8),
    "refresh_every": (0, 8, 4, 2),
    "text_mode": ("TEXT_MODE_SPLIT", "TEXT_MODE_REPLICATED")}
RANKS = (1, 2, 4)
GALLERY = ("a large red circle on a blue background", "a green star above a purple heart on white",
           "a big yellow ring in the middle, gray background",
           "an orange triangle to the left of a cyan square on a black background",
           "a small pink heart in the top right corner on a brown background",
           "a red cross below a large white diamond on a green background")


def adherence(server, tests):
    """[500] 1 where the picture shows all that its caption says, else 0; and the verdicts."""
    verdicts = [judge(server.picture(text, seed)) for seed, (_, text) in enumerate(tests)]
    return [int(verdict.agrees(scene)) for verdict, (scene, _) in zip(verdicts, tests)], verdicts


def attributes(tests, verdicts):
    """Share of captions of which the judge sees each attribute, whatever the others."""
    def share(right):
        return float(np.mean([right(verdict, scene)
                              for verdict, (scene, _) in zip(verdicts, tests)]))

    def each(name):
        return share(lambda verdict, scene: [getattr(seen, name) for seen in verdict.objects]
                     == [getattr(thing, name) for thing in scene.things])

    return {"background": share(lambda v, s: v.background == s.background),
            "number of objects": share(lambda v, s: len(v.objects) == len(s.things)),
            "colours": each("colour"), "shapes": each("shape"), "sizes": each("size")}


def write_gallery(path, rows):
    """One picture of rows of pictures, a gap of 8 pixels between them."""
    padded = [np.concatenate([np.pad(picture, ((4, 4), (4, 4), (0, 0)), constant_values=255)
                              for picture in row], 1) for row in rows]
    Image.fromarray(np.concatenate(padded)).save(path)


def settings_grid():
    """Every setting once: BASE, and BASE with one value changed."""
    return [dict(BASE)] + [{**BASE, name: value} for name, values in SWEEPS.items()
                           for value in values if value != BASE[name]]


def likeness(pictures, exact):
    return {"psnr_db": float(np.mean([psnr(a, b) for a, b in zip(exact, pictures)])),
            "ssim": float(np.mean([ssim(a, b) for a, b in zip(exact, pictures)]))}


def simulated(simulation, settings, ranks, rotate):
    return simulation.pictures(
        ranks=ranks, rotate=rotate, steps=settings["num_inference_steps"],
        sync_steps=settings["sync_steps"], refresh_every=settings["refresh_every"],
        split_text=settings["text_mode"] == "TEXT_MODE_SPLIT")


def quality(model, texts):
    """Rows of settings, ranks and likeness to N=1, rotating (by servers) and not (simulated)."""
    simulation = Simulation(model, texts, range(len(texts)))
    pictures = {}
    for ranks in RANKS:
        with TesseraServer(model, ranks) as server:
            for settings in settings_grid():
                if ranks == 1 and settings != {**BASE, "num_inference_steps":
                                               settings["num_inference_steps"]}:
                    continue  # one rank is exact whatever the rest
                key = ranks, json.dumps(settings)
                pictures[key] = [server.picture(text, seed, **settings)
                                 for seed, text in enumerate(texts)]
        print(f"N={ranks}: pictures of {len(texts)} captions at every setting", flush=True)
    rows = []
    for settings in settings_grid():
        exact = pictures[1, json.dumps({**BASE, "num_inference_steps":
                                        settings["num_inference_steps"]})]
        for ranks in RANKS[1:]:
            fixed = simulated(simulation, settings, ranks, rotate=False)
            rows.append({**settings, "ranks": ranks,
                         "rotating": likeness(pictures[ranks, json.dumps(settings)], exact),
                         "fixed": likeness(fixed, exact)})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models/shapes")
    parser.add_argument("--captions", type=int, default=500, help="judged, at most 500")
    parser.add_argument("--compared", type=int, default=24, help="captions for PSNR and SSIM")
    parser.add_argument("--report", type=Path, help="a Markdown file; its plot goes beside it")
    args = parser.parse_args()
    tests = held_out_captions()[:args.captions]
    two = np.array([len(scene.things) == 2 for scene, _ in tests])
    figures = {"captions": len(tests), "two": int(two.sum()), "compared": args.compared,
               "adherence": [], "base": BASE, "gallery": GALLERY}
    gallery = []
    for ranks in RANKS:
        with TesseraServer(args.model, ranks) as server:
            right, verdicts = adherence(server, tests)
            gallery.append([server.picture(text, 1) for text in GALLERY])
        right = np.array(right)
        row = {"ranks": ranks, "all": right.mean(), "one": right[~two].mean(),
               "two": right[two].mean(), **attributes(tests, verdicts)}
        figures["adherence"].append(row)
        print(", ".join(f"{name} {value:.1%}" if name != "ranks" else f"N={value}"
                        for name, value in row.items()), flush=True)
    if args.compared:
        figures["quality"] = quality(args.model, [text for _, text in tests[:args.compared]])
    if args.report:
        write_report(args.report, figures)
        write_gallery(args.report.with_suffix(".png"), gallery)


if __name__ == "__main__":
    main()
