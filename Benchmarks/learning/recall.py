#!/usr/bin/env python3
"""Recall beyond the window: a fact is asked for 16 to 64 tokens after it was last told, in windows of 8.

    Benchmarks/learning/recall.py [--seconds 40] [--seeds 3] [--methods "tbptt;hybrid;cd-rge"] [--out FILE]

`longzoo task recall --length 16..64 --symbols 1`: one key, ten values, log2(10) = 3.32 bits for a guess. No window holds both a fact and its
question, so that truncated BPTT has no gradient from one to the other; every method has the same window, streams, state that is
carried on, start (units remember for 1 to 64 tokens), and seconds. Held out is another seed's stream.
"""
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.learning import Runs, parser_of, say, spread, write
from harness.markdown import short, table

TASK = ["recall", "--length", "16..64", "--symbols", "1", "--targets", "marked"]
SHARED = ["--targets", "marked", "--context", 0, "--window", 8, "--streams", 64, "--hidden-size", 64, "--memory-span", 64]
FALLING = ["--optimizer", "adam", "--lr-schedule", "cosine", "--weight-decay", 0]
METHODS = {
    "tbptt": ["--estimator", "tbptt", *FALLING],
    "hybrid": ["--estimator", "hybrid", "--pairs", 256, "--eps", 0.4, "--lifetime", 12, "--beyond-momentum", 0.9, "--lr", 0.005, *FALLING],
    "cd-rge": ["--pairs", 256, "--lifetime", 12],
}
HEAD = ["method", "held out, bits an answer: median (range)", "right answers: median (range)", "seeds", "updates", "peak RSS"]


def streams(runs, held_out):
    """Training tokens, and tokens of another seed."""
    return (runs.task("train", *TASK, "--count", "16M", "--seed", 11), runs.task("held", *TASK, "--count", held_out, "--seed", 12))


def rows(results):
    for method, runs in results.items():
        yield [method, spread([r["val_bits_per_token"] for r in runs], "{:.3f}".format),
               spread([r["val_accuracy"] for r in runs], "{:.1%}".format), len(runs), short(statistics.median(r["steps"] for r in runs)),
               f"{statistics.median(r['peak_rss_bytes'] for r in runs) / 2**20:.0f} MiB"]


def main():
    parser = parser_of(__doc__, seconds=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", default=";".join(METHODS), help="separated by ;")
    options = parser.parse_args()
    started = time.time()
    results = {method: [] for method in options.methods.split(";")}
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(folder, options.threads)
        text, held = streams(runs, "400k")
        for seed in range(1, options.seeds + 1):
            for method in results:
                result = runs.train(text, "--val", held, *SHARED, *METHODS[method], "--seed", seed, "--max-seconds", options.seconds,
                                    "--save-interval", "never")
                kept = ("val_bits_per_token", "val_accuracy", "steps", "seconds", "peak_rss_bytes")
                results[method].append({"seed": seed} | {key: result[key] for key in kept})
                say(f"{method}, seed {seed}: {result['val_bits_per_token']:.3f}")
    print(table(HEAD, rows(results)))
    if options.out:
        write(options.out, options.threads, started, seconds=options.seconds, results=results)


if __name__ == "__main__":
    main()
