#!/usr/bin/env python3
"""Checks and measures Tessera on one NVIDIA GPU, part by part, and prints the figures as tables in Markdown.

In the folder that tools/carry packs (torch 2.11, no Tessera build needed), half an hour in all on an H100:

    python3 bench/gpu_figures.py                      every part
    python3 bench/gpu_figures.py checks steps         some of: checks steps ranks profile ncu torch sanitizers

A row is printed as soon as it is known; a command that fails or takes too long leaves its cells empty and says why. --out
holds the tables, every program's output and tessera-bench's figures, in one file each, added to by each call.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
FLUX = "--model flux-dev --random-weights --device cuda --width 1024 --height 1024 --text-tokens 512"
TUNED = "--kernels fused --gemm cublaslt"
GRAPHS = TUNED + " --step-graphs on"
FP8 = "--dtype bfloat16+fp8 "
STEPS = [  # row of the step table, options of tessera-bench
    ("`--kernels aten`", "--kernels aten"),
    ("`--kernels fused`", "--kernels fused"),
    ("`--kernels fused --gemm cublaslt`", TUNED),
    ("the same, `--step-graphs on`", GRAPHS),
    ("the same, `--attention cudnn`", GRAPHS + " --attention cudnn"),
    ("the same, `--attention flash`", GRAPHS + " --attention flash"),
    ("the same, `--attention efficient`", GRAPHS + " --attention efficient"),
    ("`bfloat16+fp8`, `--kernels fused`", FP8 + "--kernels fused"),
    ("`bfloat16+fp8`, `--kernels fused --gemm cublaslt`", FP8 + TUNED),
    ("the same, `--fp8-accumulation fast`", FP8 + TUNED + " --fp8-accumulation fast"),
    ("the same, `--step-graphs on`", FP8 + GRAPHS + " --fp8-accumulation fast"),
]
NCU_METRICS = {"us": "gpu__time_duration.sum", "compute": "sm__throughput.avg.pct_of_peak_sustained_elapsed",
               "memory": "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed"}


class Figures:
    def __init__(self, args):
        self.args = args
        self.out = pathlib.Path(args.out).resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.tables = open(self.out / "tables.md", "a", encoding="utf-8")
        self.log = open(self.out / "log.txt", "a", encoding="utf-8")
        self.device = device()

    def say(self, line=""):
        for file in (sys.stdout, self.tables):
            print(line, file=file, flush=True)

    def heading(self, title, columns):
        self.say(f"\n**{title}**\n")
        self.say("| " + " | ".join(columns) + " |")
        self.say("|" + "---|" * len(columns))

    def run(self, command, limit_s, **environment):
        """Runs a command in HERE. Returns what it printed, and why it failed or ''; then nothing of it runs on."""
        print(f"\n$ {shlex.join(command)}", file=self.log, flush=True)
        try:
            process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                       errors="replace", env=os.environ | environment, start_new_session=True)
        except OSError as error:
            return "", str(error)
        try:
            text, _ = process.communicate(timeout=limit_s)
            why = f"status {process.returncode}" if process.returncode else ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, _ = process.communicate()
            why = f"took more than {limit_s} s"
        print(text, file=self.log, flush=True)
        if why and text.strip():
            why += ": " + text.strip().splitlines()[-1][:200]
        return text, why

    def program(self, name, *options):
        return [*shlex.split(self.args.run), name, *options]

    def bench(self, options, limit_s=200):
        """tessera-bench's figures; empty when it failed."""
        file = self.out / "bench.json"
        file.unlink(missing_ok=True)
        words = shlex.split(f"{self.args.flux} {options}")
        _, why = self.run(self.program("tessera-bench", *words, "--json", str(file)), limit_s)
        if why:
            print(f"tessera-bench {options}: {why}", file=sys.stderr, flush=True)
            return {}
        figures = json.loads(file.read_text())
        with open(self.out / "figures.jsonl", "a", encoding="utf-8") as all_figures:
            print(json.dumps(figures), file=all_figures)
        return figures

    # The parts, in the order in which they matter.

    def checks(self):
        self.heading("Checks", ["check", "result"])
        for name, program in {"kernels against their twins": "tessera_cuda_kernels_test",
                              "tiny pipeline against golden data": "tessera_cuda_golden_test"}.items():
            text, why = self.run(self.program(program), 280)
            counts = [f"{count} {word.lower()}" for word, count in
                      re.findall(r"^\[  (PASSED|SKIPPED|FAILED) +\] (\d+) test", text, re.MULTILINE)]
            self.say(f"| {name} | {', '.join(counts)}{' (' + why + ')' if why else ''} |")

    def steps(self):
        self.heading("One step", ["", "ms per step", "TFLOP/s", "of one large GEMM's rate, without FP8",
                                  "GEMMs alone, without FP8, ms", "peak device memory", "device"])
        for name, options in STEPS:
            figures = self.bench(f"--steps 12 {options}")
            run = figures["runs"][0] if figures else None
            cells = [f"{run['steady_step_ms']:.1f}", f"{run['tflops']:.0f}",
                     f"{run['tflops'] / run['large_gemm_tflops']:.2f}", f"{run['gemm_ms']:.1f}",
                     f"{figures['peak_device_bytes'] / 1e9:.1f} GB", self.device] if run else [""] * 6
            self.say(f"| {name} | {' | '.join(cells)} |")

    def ranks(self):
        self.heading("Emulated ranks, compute only", ["N", "slowest chunk, ms", "over one rank", "with step graphs, ms",
                                                      "and `+fp8kv`, ms"])
        emulate = f"--steps 12 --emulate-ranks {self.args.emulate} "
        found = [self.bench(emulate + o, 300) for o in (TUNED, GRAPHS, GRAPHS + " --dtype bfloat16+fp8kv")]
        for i, ranks in enumerate(self.args.emulate.split(",")):
            rows = [figures["emulated"][i] if figures else None for figures in found]
            slowest = [f"{row['slowest_ms']:.1f}" if row else "" for row in rows]
            speedup = f"{rows[0]['speedup']:.2f}" if rows[0] else ""
            self.say(f"| {ranks} | {slowest[0]} | {speedup} | {slowest[1]} | {slowest[2]} |")

    def profile(self):
        for name, options in {"by ATen": "--kernels aten", "tuned": TUNED, "tuned, bfloat16+fp8": FP8 + TUNED}.items():
            figures = self.bench(f"--steps 6 --rounds 2 --profile {options}")
            self.heading(f"Where the time goes, {name}", ["class", "ms per step", "launches per step"])
            for profile in figures.get("profiles", []):
                for kind, share in profile["classes"].items():
                    self.say(f"| {kind} | {share['ms']:.2f} | {share['launches']:.0f} |")
                self.say(f"| the whole step | {profile['step_ms']:.2f} | {profile['launches']:.0f} |")

    def ncu(self):
        """A few blocks of a step. The clocks are left alone, so that the times are those of a real run."""
        self.heading("Kernels of a few blocks by ncu, the longest first",
                     ["kernel", "longest launch, µs", "share of the SMs' peak", "share of the memory's peak"])
        command = ["ncu", "--csv", "--clock-control", "none", "--target-processes", "all", "--metrics",
                   ",".join(NCU_METRICS.values()), "--launch-skip", "400", "--launch-count", "250",
                   *self.program("tessera-bench"), *shlex.split(self.args.flux), *shlex.split(TUNED),
                   "--steps", "3", "--rounds", "1"]
        text, why = self.run(command, 420)
        if why:
            print(f"ncu: {why}", file=sys.stderr, flush=True)
        for name, launch in longest_launches(text)[:12]:
            self.say(f"| `{name}` | {launch['us']:.1f} | {launch['compute']:.0f}% | {launch['memory']:.0f}% |")

    def torch(self):
        self.heading("PyTorch in the same rounds", ["", "ms per step", "Tessera over it"])
        file = self.out / "torch.json"
        file.unlink(missing_ok=True)
        _, why = self.run([sys.executable, str(HERE / "bench" / "compare_torch.py"), "--bench",
                           shlex.join(self.program("tessera-bench")), "--device", "cuda", "--dtype", "bfloat16", "--compile",
                           "--rounds", "3", "--bench-options", GRAPHS, "--json", str(file)], 560)
        if why:
            print(f"compare_torch: {why}", file=sys.stderr, flush=True)
            return
        for subject in json.loads(file.read_text()):
            ratio = "" if subject["name"] == "tessera" else f"{subject['tessera_over_it']:.3f}"
            self.say(f"| {subject['name']} | {subject['median_ms']:.1f} | {ratio} |")

    def sanitizers(self):
        """Over our kernels. Each tensor has an allocation of its own, or an access beyond it would not be seen; a graph
        cannot be captured like that."""
        self.heading("Sanitizers", ["check", "result"])
        tests = self.program("tessera_cuda_kernels_test", "--gtest_filter=*CudaKernelsTest*-*Graph*")
        for name, tool in {"memory errors": "memcheck", "races in shared memory": "racecheck"}.items():
            text, why = self.run(["compute-sanitizer", "--tool", tool, "--target-processes", "all", "--error-exitcode",
                                  "9", *tests], 420, PYTORCH_NO_CUDA_MEMORY_CACHING="1")
            summaries = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: (.*)", text) or ["no summary"]
            passed = re.findall(r"^\[  PASSED  \] (\d+) test", text, re.MULTILINE) or ["0"]
            self.say(f"| {name} | {summaries[-1]}, {passed[-1]} tests passed{' (' + why + ')' if why else ''} |")


def longest_launches(ncu_csv):
    """(kernel, its longest launch as {"us": ..., "compute": ..., "memory": ...}), the kernels with most time first."""
    lines = ncu_csv.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID","Process ID"')), len(lines))
    launches = {}
    for row in csv.DictReader(line for line in lines[start:] if line.startswith('"')):
        key = next((k for k, metric in NCU_METRICS.items() if metric == row["Metric Name"]), None)
        try:
            value = float(row["Metric Value"].replace(",", ""))
        except (ValueError, AttributeError):  # "n/a"
            continue
        if key is not None:
            scale = {"nsecond": 1e-3, "ns": 1e-3, "msecond": 1e3, "ms": 1e3}.get(row["Metric Unit"], 1)
            launches.setdefault((row["ID"], row["Kernel Name"]), {})[key] = value * scale
    kernels = {}
    for (_, name), launch in launches.items():
        if len(launch) == len(NCU_METRICS):
            kernels.setdefault(re.sub(r"\(.*|<.*", "", name), []).append(launch)
    by_time = sorted(kernels.items(), key=lambda kernel: -sum(launch["us"] for launch in kernel[1]))
    return [(name, max(each, key=lambda launch: launch["us"])) for name, each in by_time]


def device():
    if shutil.which("nvidia-smi") is None:
        return "no GPU"
    return subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], text=True,
                          capture_output=True, check=False).stdout.strip()


def main():
    parts = ["checks", "steps", "ranks", "profile", "ncu", "torch", "sanitizers"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="default: all")
    parser.add_argument("--out", default="gpu_figures")
    parser.add_argument("--run", default="./run", help="what runs a program of the folder by its name")
    parser.add_argument("--flux", default=FLUX, help="model, size and device, as tessera-bench's options")
    parser.add_argument("--emulate", default="2,4,8", help="numbers of ranks")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are: {' '.join(parts)}")
    figures = Figures(args)
    figures.say(f"\n# {datetime.datetime.now():%Y-%m-%d %H:%M}: {figures.device}; {args.flux}")
    for part in args.parts or parts:
        try:
            getattr(figures, part)()
        except Exception as error:  # the parts that follow do not depend on it
            print(f"{part}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
