#!/usr/bin/env python3
"""Language modelling by every estimator, for the same seconds on the same cores: held-out bits a byte.

    Benchmarks/learning/language.py TEXT [--seconds 60] [--seeds 3] [--methods cd-rge,hybrid,…] [--json FILE]

H = 64 and 128, the defaults, the last tenth of TEXT held out; contexts of 1M tokens for cd-rge, of 10k for tbptt and hybrid; PyTorch's truncated BPTT (64 streams, windows of 64, Adam falling by
cosine) on the same text and hold-out. Runs go one after another, seed by seed, so that other load falls on all methods. PyTorch is installed
in .venv if it is not there; PYTHON=… names an interpreter that has it.
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
from harness.peer import interpreter
from harness.program import ROOT, Longzoo

METHODS = {
    "cd-rge, all zeroth-order": ["--context", "1M", "--readout", "zo"],
    "cd-rge": ["--context", "1M"],
    "tbptt": ["--context", "10k", "--estimator", "tbptt"],
    "hybrid": ["--context", "10k", "--estimator", "hybrid"],
    "tbptt, PyTorch": None,
}


def run_pytorch(text, hidden, seed, options, environment):
    done = subprocess.run(
        [interpreter(), str(ROOT / "Benchmarks/peers/truncated_bptt.py"), text, "--hidden-size", str(hidden), "--max-seconds",
         str(options.seconds), "--threads", str(options.threads), "--seed", str(seed)],
        env=environment, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    return {"bits": result["val_bits_per_token"], "updates": result["steps"], "tokens": result["tokens"],
            "peak_rss_bytes": result["peak_rss_bytes"]}


def run_longzoo(longzoo, text, hidden, seed, options, arguments):
    result = longzoo.run("train", text, "--hidden-size", hidden, "--max-seconds", options.seconds, "--seed", seed, "--threads",
                         options.threads, "--save-interval", "never", "--reset", options.reset, "--quiet", "--json", "--out-dir",
                         options.folder + "/run", *arguments)
    return {"bits": result["val_bits_per_token"], "updates": result["steps"], "tokens": result["tokens"],
            "peak_rss_bytes": result["peak_rss_bytes"], "command": " ".join(map(str, arguments))}


def rows(results):
    for (method, hidden), runs in results.items():
        bits = [r["bits"] for r in runs]
        yield [method, hidden, f"{statistics.median(bits):.3f} ({min(bits):.3f}–{max(bits):.3f})", len(runs),
               short(statistics.median(r["updates"] for r in runs)), short(statistics.median(r["tokens"] for r in runs)),
               f"{statistics.median(r['peak_rss_bytes'] for r in runs) / 2**20:.0f} MiB"]


HEAD = ["method", "H", "held out, bits a byte: median (range)", "seeds", "updates", "tokens read", "peak RSS"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--hidden-sizes", default="64,128")
    parser.add_argument("--methods", default=";".join(METHODS), help="separated by ;")
    parser.add_argument("--reset", default="context", choices=["context", "together"], help="as of longzoo train")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json")
    options = parser.parse_args()
    environment = machine.environment(options.threads)
    longzoo = Longzoo(environment, options.threads)
    results = {}
    with tempfile.TemporaryDirectory() as options.folder:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for hidden in map(int, options.hidden_sizes.split(",")):
                for method in options.methods.split(";"):
                    arguments = METHODS[method]
                    one = (run_pytorch(options.text, hidden, seed, options, environment) if arguments is None
                           else run_longzoo(longzoo, options.text, hidden, seed, options, arguments))
                    results.setdefault((method, hidden), []).append(one)
                    print(f"  {method}, H = {hidden}, seed {seed}: {one['bits']:.3f}", file=sys.stderr, flush=True)
    print(table(HEAD, rows(results)))
    if options.json:
        document = {"machine": machine.describe(options.threads), "seconds": options.seconds,
                    "results": [{"method": m, "hidden_size": h, "runs": runs} for (m, h), runs in results.items()]}
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
