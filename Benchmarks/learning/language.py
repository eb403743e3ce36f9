#!/usr/bin/env python3
"""Language modelling by every estimator, for the same seconds on the same cores: held-out bits a byte.

    Benchmarks/learning/language.py TEXT [--seconds 60] [--seeds 3] [--methods cd-rge;hybrid;…] [--out FILE]

H = 64 and 128, the last tenth of TEXT held out; the defaults, with contexts of 1M tokens for cd-rge and node and of 10k for tbptt and hybrid, those two by
Adam and by Muon. PyTorch's truncated BPTT (64 streams, windows of 64) has the same text, hold-out, cores and optimizers, with the best rates of a few (Benchmarks/README.md).
The rates of all with exact gradients fall by cosine.
Runs go one after another, seed by seed, so that other load falls on all methods. Every run is written to FILE when it ends, and
one that FILE has is not made again. PyTorch is installed in .venv if it is not there; PYTHON=… names an interpreter that has it.
"""
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.learning import Runs, parser_of, say, spread, write
from harness.markdown import short, table
from harness.peer import interpreter
from harness.program import ROOT

FALLING = ["--optimizer", "adam", "--lr-schedule", "cosine", "--weight-decay", "0.1"]
MUON = ["--lr-schedule", "cosine", "--optimizer", "muon", "--lr", "0.08", "--weight-decay", "0.05"]
METHODS = {
    "cd-rge, all zeroth-order": ["--context", "1M", "--readout", "zo"],
    "cd-rge": ["--context", "1M", "--optimizer", "adam", "--lr-schedule", "constant"],
    "cd-rge, Muon": ["--context", "1M"],
    "node, all zeroth-order": ["--context", "1M", "--estimator", "node", "--readout", "zo"],
    "node": ["--context", "1M", "--estimator", "node"],
    "tbptt": ["--context", "10k", "--estimator", "tbptt", *FALLING],
    "hybrid": ["--context", "10k", "--estimator", "hybrid", *FALLING],
    "tbptt, Muon": ["--context", "10k", "--estimator", "tbptt", *MUON],
    "hybrid, Muon": ["--context", "10k", "--estimator", "hybrid", *MUON],
}
PYTORCH = {
    "tbptt, PyTorch": ["--lr", "0.02", "--weight-decay", "0.1"],
    "tbptt, PyTorch, Muon": ["--lr", "0.05", "--matrix-lr", "0.05", "--weight-decay", "0.05"],
}
KEPT = ("val_bits_per_token", "steps", "tokens", "peak_rss_bytes")
HEAD = ["method", "H", "held out, bits a byte: median (range)", "seeds", "updates", "tokens read", "peak RSS"]


def pytorch(runs, text, *options):
    command = [interpreter(), ROOT / "Benchmarks/peers/truncated_bptt.py", text, "--threads", runs.threads, *options]
    done = subprocess.run(list(map(str, command)), env=runs.environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def one(runs, options, method, hidden, seed):
    shared = ["--hidden-size", hidden, "--max-seconds", options.seconds, "--seed", seed]
    result = (pytorch(runs, options.text, *shared, *PYTORCH[method]) if method in PYTORCH else
              runs.train(options.text, *shared, "--reset", options.reset, "--save-interval", "never", *METHODS[method]))
    return {"method": method, "hidden_size": hidden, "seed": seed} | {key: result[key] for key in KEPT}


def known(options):
    """The runs that the file has, if they were made in the same way."""
    if not options.out or not Path(options.out).exists():
        return []
    document = json.loads(Path(options.out).read_text())
    same = {"seconds": options.seconds, "reset": options.reset}
    if any(document[key] != value for key, value in same.items()):
        sys.exit(f"{options.out} has results of other seconds or resets: name another file")
    return document["results"]


def rows(results, sizes):
    for hidden in sizes:
        for method in [*METHODS, *PYTORCH]:
            found = [r for r in results if (r["method"], r["hidden_size"]) == (method, hidden)]
            if found:
                middle = lambda key: statistics.median(r[key] for r in found)
                yield [method, hidden, spread([r["val_bits_per_token"] for r in found], "{:.3f}".format), len(found),
                       short(middle("steps")), short(middle("tokens")), f"{middle('peak_rss_bytes') / 2**20:.0f} MiB"]


def main():
    parser = parser_of(__doc__, seconds=60)
    parser.add_argument("text")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--hidden-sizes", default="64,128")
    parser.add_argument("--methods", default=";".join([*METHODS, *PYTORCH]), help="separated by ;")
    parser.add_argument("--reset", default="context", choices=["context", "together"], help="as of longzoo train")
    options = parser.parse_args()
    started, sizes = time.time(), [int(h) for h in options.hidden_sizes.split(",")]
    results = known(options)
    made = {(r["method"], r["hidden_size"], r["seed"]) for r in results}
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(folder, options.threads)
        for key in ((m, h, s) for s in range(1, options.seeds + 1) for h in sizes for m in options.methods.split(";")):
            if key in made:
                continue
            results.append(one(runs, options, *key))
            say(f"{key[0]}, H = {key[1]}, seed {key[2]}: {results[-1]['val_bits_per_token']:.3f}")
            if options.out:
                write(options.out, options.threads, started, seconds=options.seconds, reset=options.reset, results=results)
    print(table(HEAD, rows(results, sizes)))


if __name__ == "__main__":
    main()
