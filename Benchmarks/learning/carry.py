#!/usr/bin/env python3
"""Does carrying the state help? Held-out loss when the state is reset every N tokens, and by position since the start.

    Benchmarks/learning/carry.py [--seconds 40] [--seeds 3] [--out FILE]

Two models by cd-rge and for each seed: one of recall.py's stream with its settings, one of the bundled corpus by the defaults. Both are
evaluated by `longzoo eval --reset-every N`, and once with the state carried through everything, by position.
"""
import sys
import tempfile
import time
from math import log
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.learning import Runs, parser_of, say, spread, write
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


def both(runs, text, held, seconds, seed):
    limits = ["--max-seconds", seconds, "--seed", seed, "--eval-tokens", 1000]
    recall = runs.train(text, "--val", held, *SHARED, *METHODS["cd-rge"], *limits)
    corpus = runs.train(CORPUS, "--optimizer", "adam", "--lr-schedule", "constant", *limits)
    return {"recall": evaluate(runs, recall, held), "bundled corpus": evaluate(runs, corpus, CORPUS, *HELD_OUT)}


def rows(results, columns, value):
    """A line for each model: of every column the median and range over the seeds."""
    for name in results[0]:
        values = [[value(seed[name], column) for seed in results] for column in columns]
        yield [name, *(spread(v, "{:.3f}".format) if None not in v else "–" for v in values)]


def main():
    parser = parser_of(__doc__, seconds=40)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    started, results = time.time(), []
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(folder, options.threads)
        text, held = streams(runs, "1200k")
        for seed in range(1, options.seeds + 1):
            results.append(both(runs, text, held, options.seconds, seed))
            say(f"seed {seed}: " + ", ".join(f"{name} {r['never']:.3f}" for name, r in results[-1].items()))
    at = lambda r, n: r["never"] if n == "never" else r["reset_every"].get(n)
    print(table(["bits a target, reset every", *(f"{n:,}" for n in EVERY), "never"], rows(results, [*EVERY, "never"], at)))
    # eval's losses by position are in nats; entry i is of the tokens from 2^i to 2^(i+1) − 1.
    length = max(len(r["loss_by_position"]) for seed in results for r in seed.values())
    by_place = lambda r, i: r["loss_by_position"][i] / log(2) if i < len(r["loss_by_position"]) and r["loss_by_position"][i] is not None else None
    print("\n" + table(["bits a target, carried, from token", *(f"{2**i:,}" for i in range(length))], rows(results, range(length), by_place)))
    if options.out:
        write(options.out, options.threads, started, seconds=options.seconds, seeds=options.seeds, results=results)


if __name__ == "__main__":
    main()
