#!/usr/bin/env python3
"""Checks and measures Tessera on one NVIDIA GPU, part by part, and prints docs/performance.md's tables, filled in.

In the folder that tools/carry packs (torch 2.11, no Tessera build needed), about 25 minutes in all on an H100:

    python3 bench/gpu_figures.py                      every part
    python3 bench/gpu_figures.py checks steps         some of: checks steps ranks profile ncu torch

Every line is printed as soon as it is known; a command that fails or takes too long leaves its cell empty and its reason
in the log. Tables, JSON and logs lie in --out.
"""

import argparse
import datetime
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
FLUX = "--model flux-dev --random-weights --device cuda --width 1024 --height 1024 --text-tokens 512 --steps 12"
TUNED = "--kernels fused --gemm cublaslt"
STEPS = {  # row of the step table -> options of tessera-bench
    "`--kernels aten`": "--kernels aten",
    "`--kernels fused`": "--kernels fused",
    "`--kernels fused --gemm cublaslt`": TUNED,
    "the same, `--step-graphs on`": TUNED + " --step-graphs on",
    "the same, `--attention cudnn`": TUNED + " --step-graphs on --attention cudnn",
    "the same, `--attention flash`": TUNED + " --step-graphs on --attention flash",
    "the same, `--attention efficient`": TUNED + " --step-graphs on --attention efficient",
    "`bfloat16+fp8`, `--kernels fused`": "--dtype bfloat16+fp8 --kernels fused",
    "`bfloat16+fp8`, `--kernels fused --gemm cublaslt`": "--dtype bfloat16+fp8 " + TUNED,
    "the same, `--fp8-accumulation fast`": "--dtype bfloat16+fp8 " + TUNED + " --fp8-accumulation fast",
    "the same, `--step-graphs on`": "--dtype bfloat16+fp8 " + TUNED + " --fp8-accumulation fast --step-graphs on",
}
KERNELS = ["LayerNormModulateKernel", "NormRopeQkvKernel", "GatedAddKernel", "GeluTanhKernel"]
NCU_METRICS = {"us": "gpu__time_duration.sum", "bytes": "dram__bytes.sum",
               "share": "dram__throughput.avg.pct_of_peak_sustained_elapsed"}


class Figures:
    def __init__(self, args):
        self.args = args
        self.out = pathlib.Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.report = open(self.out / "tables.md", "a", encoding="utf-8")

    def say(self, line=""):
        for file in (sys.stdout, self.report):
            print(line, file=file, flush=True)

    def heading(self, title, columns):
        self.say(f"\n**{title}**\n")
        self.say("| " + " | ".join(columns) + " |")
        self.say("|" + "---|" * len(columns))

    def run(self, name, command, limit_s):
        """Runs a command in HERE with its output in NAME.log. Returns why it failed, or None, and the log's path."""
        log = self.out / (re.sub(r"\W+", "-", name).strip("-") + ".log")
        with open(log, "w", encoding="utf-8") as file:
            print("$ " + shlex.join(command), file=file, flush=True)
            try:
                status = subprocess.run(command, cwd=HERE, stdout=file, stderr=subprocess.STDOUT, timeout=limit_s,
                                        check=False).returncode
            except subprocess.TimeoutExpired:
                return f"took more than {limit_s} s", log
            except OSError as error:
                return str(error), log
        if status == 0:
            return None, log
        lines = log.read_text(errors="replace").strip().splitlines()
        return f"status {status}: {lines[-1][:200]}", log

    def bench(self, name, options, limit_s=240):
        """tessera-bench's figures, or None: its reason has been told."""
        figures = self.out / (re.sub(r"\W+", "-", name).strip("-") + ".json")
        figures.unlink(missing_ok=True)
        command = [*shlex.split(self.args.run), "tessera-bench", *shlex.split(self.args.flux), *shlex.split(options),
                   "--json", str(figures.resolve())]
        failure, _ = self.run(name, command, limit_s)
        if failure:
            print(f"{name}: {failure}", file=sys.stderr, flush=True)
            return None
        return json.loads(figures.read_text())

    # The parts, in the order of what later ones rest on.

    def checks(self):
        self.heading("Checks", ["check", "result"])
        sanitizer = shutil.which("compute-sanitizer") or "compute-sanitizer"
        kernels = [*shlex.split(self.args.run), "tessera_cuda_kernels_test"]
        subjects = {
            "kernels against their twins": kernels,
            "tiny pipeline against golden data": [*shlex.split(self.args.run), "tessera_cuda_golden_test"],
            "memory errors": [sanitizer, "--error-exitcode", "9", *kernels],
            "races in shared memory": [sanitizer, "--tool", "racecheck", "--error-exitcode", "9", *kernels],
        }
        for name, command in subjects.items():
            failure, log = self.run(name, command, limit_s=400)
            text = log.read_text(errors="replace")
            found = [re.search(r"^\[  " + word + r"\s*\] (\d+) test", text, re.MULTILINE)
                     for word in ("PASSED", "SKIPPED", "FAILED")]
            counts = ", ".join(f"{match[1] if match else 0} {word}"
                               for match, word in zip(found, ("passed", "skipped", "failed")))
            self.say(f"| {name} | {counts}{'; ' + failure if failure else ''} |")

    def steps(self):
        self.heading("One step", ["", "ms per step", "TFLOP/s", "share of one large GEMM's rate", "GEMMs alone, ms",
                                  "peak device memory", "device"])
        for name, options in STEPS.items():
            json_name = f"step {options}"
            figures = self.bench(json_name, options)
            if figures is None:
                self.say(f"| {name} | | | | | | |")
                continue
            run = figures["runs"][0]
            self.say(f"| {name} | {run['steady_step_ms']:.1f} | {run['tflops']:.0f} | "
                     f"{run['tflops'] / run['large_gemm_tflops']:.2f} | {run['gemm_ms']:.1f} | "
                     f"{figures['peak_device_bytes'] / 1e9:.1f} GB | {self.device()} |")

    def ranks(self):
        self.heading("Emulated ranks, compute only", ["N", "slowest chunk, ms", "over one rank", "with step graphs, ms",
                                                      "and `+fp8kv`, ms"])
        variants = ["", " --step-graphs on", " --step-graphs on --dtype bfloat16+fp8kv"]
        found = [self.bench(f"ranks{v}", f"{TUNED} --emulate-ranks {self.args.emulate}{v}", 400) for v in variants]
        for i, ranks in enumerate(self.args.emulate.split(",")):
            rows = [figures["emulated"][i] if figures else None for figures in found]
            slowest = [f"{row['slowest_ms']:.1f}" if row else "" for row in rows]
            speedup = f"{rows[0]['speedup']:.2f}" if rows[0] else ""
            self.say(f"| {ranks} | {slowest[0]} | {speedup} | {slowest[1]} | {slowest[2]} |")

    def profile(self):
        for name, options in {"by ATen": "--kernels aten", "tuned": TUNED,
                              "tuned, bfloat16+fp8": TUNED + " --dtype bfloat16+fp8"}.items():
            figures = self.bench(f"profile {name}", options + " --rounds 2 --profile")
            self.heading(f"Where the time goes, {name}", ["class", "ms per step", "launches per step"])
            for profile in figures["profiles"] if figures else []:
                for kind, share in profile["classes"].items():
                    self.say(f"| {kind} | {share['ms']:.2f} | {share['launches']:.0f} |")
                self.say(f"| the whole step | {profile['step_ms']:.2f} | {profile['launches']:.0f} |")

    def ncu(self):
        self.heading("Share of device memory bandwidth", ["kernel", "µs", "bytes moved", "share of peak bandwidth"])
        command = ["ncu", "--csv", "--metrics", ",".join(NCU_METRICS.values()), "-k", "regex:" + "|".join(KERNELS),
                   "--launch-skip", "40", "--launch-count", "40", *shlex.split(self.args.run), "tessera-bench",
                   *shlex.split(self.args.flux), "--kernels", "fused", "--steps", "3", "--rounds", "1"]
        failure, log = self.run("ncu", command, limit_s=500)
        if failure:
            print(f"ncu: {failure}", file=sys.stderr, flush=True)
        values = {}  # kernel -> metric -> values of its launches
        for line in log.read_text(errors="replace").splitlines():
            kernel = next((k for k in KERNELS if k in line), None)
            metric = next((m for m, name in NCU_METRICS.items() if f'"{name}"' in line), None)
            if kernel and metric:
                words = re.findall(r'"([^"]*)"', line)
                unit, value = words[-2], float(words[-1].replace(",", ""))
                scale = {"nsecond": 1e-3, "ns": 1e-3, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9}.get(unit, 1)
                values.setdefault(kernel, {}).setdefault(metric, []).append(value * scale)
        for kernel in KERNELS:  # the largest launch: a double block's image rows, or a single block's
            largest = {m: max(v) for m, v in values.get(kernel, {}).items()}
            cells = [f"{largest['us']:.1f}", f"{largest['bytes'] / 1e6:.1f} MB", f"{largest['share']:.0f}%"] \
                if len(largest) == len(NCU_METRICS) else ["", "", ""]
            self.say(f"| `{kernel}` | " + " | ".join(cells) + " |")

    def torch(self):
        self.heading("PyTorch in the same rounds", ["", "ms per step", "Tessera over it"])
        for name, options in {"by ATen": "--kernels aten", "tuned": TUNED + " --step-graphs on"}.items():
            figures = self.out / f"torch-{name.replace(' ', '-')}.json"
            command = [sys.executable, str(HERE / "bench" / "compare_torch.py"), "--bench",
                       f"{self.args.run} tessera-bench", "--device", "cuda", "--dtype", "bfloat16", "--compile",
                       "--rounds", "3", "--bench-options", options, "--json", str(figures.resolve())]
            failure, _ = self.run(f"torch {name}", command, limit_s=560)
            if failure:
                print(f"torch {name}: {failure}", file=sys.stderr, flush=True)
                continue
            for subject in json.loads(figures.read_text()):
                ratio = "" if subject["name"] == "tessera" else f"{subject['tessera_over_it']:.3f}"
                self.say(f"| {subject['name']} ({name}) | {subject['median_ms']:.1f} | {ratio} |")

    def device(self):
        asked = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
                               capture_output=True, text=True, check=False) if shutil.which("nvidia-smi") else None
        return asked.stdout.strip() if asked and asked.returncode == 0 else "no GPU"


def main():
    parts = ["checks", "steps", "ranks", "profile", "ncu", "torch"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="default: all")
    parser.add_argument("--out", default="gpu_figures")
    parser.add_argument("--run", default="./run", help="what runs a program of the folder by its name")
    parser.add_argument("--flux", default=FLUX, help="model, size and device, as tessera-bench's options")
    parser.add_argument("--emulate", default="2,4,8", help="numbers of ranks")
    args = parser.parse_args()
    figures = Figures(args)
    figures.say(f"# {datetime.datetime.now():%Y-%m-%d %H:%M}: {figures.device()}; {args.flux}")
    for part in parts:
        if not args.parts or part in args.parts:
            getattr(figures, part)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
