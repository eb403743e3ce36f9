#!/usr/bin/env python3
"""What hybrid's credit beyond the window is worth, update by update.

    Benchmarks/learning/beyond_window.py TEXT [--seeds 3] [--updates 2500] [--out FILE]

Text: truncated BPTT and hybrid with several momenta of the mean of what lies beyond the window, in windows of 8 tokens and for as many updates; held out
is the last tenth.
Latch: a symbol to be named after 16 tokens of noise (`longzoo task latch --length 16`), only the answer predicted: no window of 8 holds both,
and log2(4) = 2 bits are a guess. Eight times as many updates; held out is another seed's stream.
"""
import math
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.learning import Runs, parser_of, say, spread, write
from harness.markdown import table

TEXT = ["--hidden-size", 64, "--context", "10k", "--window", 8, "--streams", 64]
# What these rows were measured with.
ADAM = ["--optimizer", "adam", "--lr-schedule", "constant", "--weight-decay", 0]
TEXT_PAIRS = ["--estimator", "hybrid", *ADAM, "--pairs", 64, "--eps", 0.05, "--lifetime", 4]
LATCH = ["--targets", "marked", "--vocab-size", 128, "--hidden-size", 24, "--context", 0, "--window", 8, "--streams", 64]
LATCH_PAIRS = ["--pairs", 256, "--lifetime", 6]
METHODS = {
    "text": {
        "truncated BPTT": ["--estimator", "tbptt", *ADAM],
        "hybrid, momentum 0": [*TEXT_PAIRS, "--beyond-momentum", 0],
        "hybrid, momentum 0.99": [*TEXT_PAIRS, "--beyond-momentum", 0.99],
        "hybrid, momentum 0.997": [*TEXT_PAIRS, "--beyond-momentum", 0.997],
    },
    "latch": {
        "truncated BPTT": ["--estimator", "tbptt", *ADAM],
        "hybrid, momentum 0.9, rate 0.005": [*LATCH_PAIRS, "--estimator", "hybrid", *ADAM, "--beyond-momentum", 0.9, "--lr", 0.005],
        "cd-rge": LATCH_PAIRS,
    },
}
HEAD = ["", "method", "held out, bits: median (range)", "training, bits: median (range)", "seeds", "seconds"]


def one(runs, options, task, method, seed):
    def latch(name, count, number):
        return runs.task(name, "latch", "--length", 16, "--targets", "marked", "--count", count, "--seed", number)

    ends = ["--seed", seed, "--save-interval", "never", "--max-steps"]
    arguments = METHODS[task][method]
    result = (runs.train(options.text, *TEXT, *arguments, *ends, options.updates) if task == "text" else
              runs.train(latch("train", "16M", 11), "--val", latch("held", "400k", 12), *LATCH, *arguments, *ends, 8 * options.updates))
    return {"task": task, "method": method, "seed": seed, "held_out_bits": result["val_bits_per_token"],
            "training_bits": result["train_loss_nats"] / math.log(2), "seconds": result["seconds"]}


def rows(results):
    for task, methods in METHODS.items():
        for method in methods:
            found = [r for r in results if (r["task"], r["method"]) == (task, method)]
            yield [task, method, *(spread([r[key] for r in found], "{:.3f}".format) for key in ("held_out_bits", "training_bits")), len(found),
                   spread([r["seconds"] for r in found])]


def main():
    parser = parser_of(__doc__)
    parser.add_argument("text")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=2500)
    options = parser.parse_args()
    started, results = time.time(), []
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(folder, options.threads)
        for seed in range(1, options.seeds + 1):
            for task, methods in METHODS.items():
                for method in methods:
                    results.append(one(runs, options, task, method, seed))
                    say(f"{task}, {method}, seed {seed}: {results[-1]['held_out_bits']:.3f}")
    print(table(HEAD, rows(results)))
    if options.out:
        write(options.out, options.threads, started, updates=options.updates, results=results)


if __name__ == "__main__":
    main()
