#!/usr/bin/env python3
"""Does carrying the state help? Held-out loss when the state is reset every N tokens, and by position since a reset.

    Benchmarks/learning/carry.py [--seconds 60] [--seed 1] [--json FILE]

Two models by cd-rge: one of `recall --length 16..64 --symbols 1` (directions kept for 96 tokens, answers only), one of the bundled corpus by the
defaults. Both are evaluated by `longzoo eval --reset-every N`.
"""
import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import machine
from harness.markdown import table
from harness.program import ROOT, Longzoo
from recall import METHODS, SHARED, stream

EVERY = [10, 32, 100, 1_000, 10_000, 100_000, 1_000_000]


def evaluate(longzoo, run, data, *options):
    carried = longzoo.run("eval", run, data, "--json", *options)
    resets = {n: longzoo.run("eval", run, data, "--json", "--reset-every", n, *options)["bits_per_token"]
              for n in EVERY if n <= carried["tokens"]}
    return {"carried": carried["bits_per_token"], "reset_every": resets, "by_position": carried["loss_by_position"],
            "tokens": carried["tokens"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json")
    options = parser.parse_args()
    longzoo = Longzoo(machine.environment(options.threads), options.threads)
    limits = ["--max-seconds", options.seconds, "--seed", options.seed, "--threads", options.threads, "--quiet", "--json"]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        text, held = stream(folder, "train", "16M", 1), stream(folder, "held", "1200k", 2)
        longzoo.run("train", text, "--val", held, "--eval-tokens", 1000, *SHARED, *METHODS["cd-rge"], *limits, "--out-dir", folder + "/recall")
        results["recall"] = evaluate(longzoo, folder + "/recall", held)
        corpus = ROOT / "corpora/zoo.zst"  # 1.6M tokens, of which training holds out the last tenth
        longzoo.run("train", corpus, "--eval-tokens", 1000, *limits, "--out-dir", folder + "/corpus")
        results["bundled corpus"] = evaluate(longzoo, folder + "/corpus", corpus, "--skip-tokens", 1_440_000)
    columns = [n for n in EVERY if any(n in r["reset_every"] for r in results.values())]
    print(table(["held out, bits a target, reset every", *(f"{n:,}" for n in columns), "never"],
                [[name, *(f"{r['reset_every'][n]:.3f}" if n in r["reset_every"] else "–" for n in columns), f"{r['carried']:.3f}"]
                 for name, r in results.items()]))
    if options.json:
        document = {"machine": machine.describe(options.threads), "seconds": options.seconds, "results": results}
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
