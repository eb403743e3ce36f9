#!/usr/bin/env python3
"""Recall beyond the window: a fact is asked for 16 to 64 tokens after it was last told, in windows of 8.

    Benchmarks/learning/recall.py [--seconds 45] [--seeds 3] [--json FILE]

`longzoo task recall --length 16..64 --symbols 1`: one key, ten values, log2(10) = 3.32 bits for a guess. No window holds both a fact and its
question, so that truncated BPTT has no gradient from one to the other; every method has the same window, streams, state that is
carried on, and seconds. Held out is another seed's stream.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import machine
from harness.markdown import short, table
from harness.program import BINARY, Longzoo

TASK = ["task", "recall", "--length", "16..64", "--symbols", "1", "--targets", "marked"]
SHARED = ["--targets", "marked", "--context", 0, "--window", 8, "--streams", 64, "--hidden-size", 64]
METHODS = {
    "tbptt": ["--estimator", "tbptt"],
    "hybrid": ["--estimator", "hybrid", "--pairs", 256, "--eps", 0.3, "--lifetime", 12, "--beyond-momentum", 0.9],
    "cd-rge": ["--pairs", 256, "--lifetime", 12, "--memory-span", 64],
}
HEAD = ["method", "held out, bits an answer: median (range)", "right answers: median (range)", "seeds", "updates", "peak RSS"]


def stream(folder, name, count, seed):
    path = Path(folder) / name
    with open(path, "wb") as file:
        subprocess.run([str(BINARY), *TASK, "--count", count, "--seed", str(seed)], stdout=file, check=True)
    return path


def spread(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def rows(results):
    for method, runs in results.items():
        yield [method, spread([r["bits"] for r in runs], ".3f"), spread([r["accuracy"] for r in runs], ".1%"), len(runs),
               short(statistics.median(r["updates"] for r in runs)),
               f"{statistics.median(r['peak_rss_bytes'] for r in runs) / 2**20:.0f} MiB"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json")
    options = parser.parse_args()
    longzoo = Longzoo(machine.environment(options.threads), options.threads)
    results = {method: [] for method in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        text, held = stream(folder, "train", "16M", 1), stream(folder, "held", "400k", 2)
        for seed in range(1, options.seeds + 1):
            for method, arguments in METHODS.items():
                result = longzoo.run("train", text, "--val", held, *SHARED, *arguments, "--seed", seed, "--max-seconds", options.seconds,
                                     "--threads", options.threads, "--save-interval", "never", "--quiet", "--json", "--out-dir",
                                     folder + "/run")
                results[method].append({
                    "bits": result["val_bits_per_token"], "accuracy": result["val_accuracy"], "updates": result["steps"],
                    "peak_rss_bytes": result["peak_rss_bytes"], "seed": seed})
                print(f"  {method}, seed {seed}: {result['val_bits_per_token']:.3f}", file=sys.stderr, flush=True)
    print(table(HEAD, rows(results)))
    if options.json:
        document = {"machine": machine.describe(options.threads), "seconds": options.seconds, "results": results}
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
