#!/usr/bin/env python3
"""Does carrying the state help? Held-out loss when the state is reset every N tokens, and by position since a reset.

    Benchmarks/learning/carry.py [--seconds 40] [--seed 1] [--out FILE]

Two models by cd-rge: one of recall.py's stream with its settings, one of the bundled corpus by the defaults. Both are evaluated by
`longzoo eval --reset-every N`; the losses by position are in FILE.
"""
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.learning import Runs, parser_of, write
from harness.markdown import table
from harness.program import ROOT
from recall import METHODS, SHARED, streams

EVERY = [10, 32, 100, 1_000, 10_000, 100_000, 1_000_000]
CORPUS = ROOT / "corpora/zoo.zst"
HELD_OUT = ["--skip-tokens", 1_440_000]  # training holds out the last tenth of its 1.6M tokens


def evaluate(runs, trained, data, *options):
    carried = runs.evaluate(trained["out_dir"], data, *options)
    resets = {n: runs.evaluate(trained["out_dir"], data, "--reset-every", n, *options)["bits_per_token"]
              for n in EVERY if n <= carried["tokens"]}
    return {"never": carried["bits_per_token"], "reset_every": resets, "loss_by_position": carried["loss_by_position"],
            "tokens": carried["tokens"]}


def main():
    parser = parser_of(__doc__, seconds=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.time()
    limits = ["--max-seconds", options.seconds, "--seed", options.seed, "--eval-tokens", 1000]
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(folder, options.threads)
        text, held = streams(runs, "1200k")
        recall = runs.train(text, "--val", held, *SHARED, *METHODS["cd-rge"], *limits)
        corpus = runs.train(CORPUS, *limits)
        results = {"recall": evaluate(runs, recall, held), "bundled corpus": evaluate(runs, corpus, CORPUS, *HELD_OUT)}
    figures = lambda r: [f"{r['reset_every'][n]:.3f}" if n in r["reset_every"] else "–" for n in EVERY]
    print(table(["held out, bits a target, reset every", *(f"{n:,}" for n in EVERY), "never"],
                [[name, *figures(r), f"{r['never']:.3f}"] for name, r in results.items()]))
    if options.out:
        write(options.out, options.threads, started, seconds=options.seconds, seed=options.seed, results=results)


if __name__ == "__main__":
    main()
