#!/usr/bin/env python3
"""The LSTM sizes of arXiv 2505.17852, Table 1, with longzoo: seconds an update, peak memory, and one sample learned by heart.

Hidden sizes and heads are those of the paper's published code (github.com/Fchaubard/zero_order_rnn); its 100 characters, its 96
pairs, its 10 tokens of one sample. Every model trains by --regime inplace with steps of --step polyak; the loss is that of the
unperturbed weights on the sample, measured when the run ends.

    Benchmarks/paper_sizes.py [--longzoo .build/release/longzoo] [--sizes 100k,1M,10M,100M,1.1B] [--json FILE]

1.1B asks for 6 GiB of memory. Needs Python 3.8 and nothing else.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

# name: hidden units, heads, updates, and the paper's seconds a step (one A40; eight A40)
SIZES = {
    "100k": (240, 12, 40, 5.7, 0.05),
    "1M": (1600, 32, 30, 6.0, 0.06),
    "10M": (9600, 64, 20, 7.8, 0.07),
    "100M": (66000, 220, 10, 24.3, 0.40),
    "1.1B": (297500, 350, 6, 145, 4.4),
}
SAMPLE = bytes([3, 1, 41, 59, 26, 53, 58, 97, 93, 23])


def options(hidden, heads, updates):
    return [
        "--vocab-size", "100", "--hidden-size", str(hidden), "--heads", str(heads), "--regime", "inplace",
        "--pairs", "96", "--streams", "1", "--context", "10", "--window", "context", "--eps", "0.01",
        "--step", "polyak", "--token-scale", "1.7", "--max-steps", str(updates), "--save-interval", "never",
    ]


def run(longzoo, name, folder):
    hidden, heads, updates, one, eight = SIZES[name]
    data, held = folder / "sample.bin", folder / "held-out.bin"
    data.write_bytes(SAMPLE * 3)
    held.write_bytes(SAMPLE + SAMPLE[:1])
    command = [longzoo, "train", *options(hidden, heads, updates), "--val", str(held), "--out-dir",
               str(folder / name), "--json", "--quiet", str(data)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"{name}: longzoo ended with {done.returncode}; the command was\n{' '.join(command)}")
    result = json.loads(done.stdout)
    weights = 4 * result["parameters"]
    return {
        "size": name, "hidden_size": hidden, "heads": heads, "parameters": result["parameters"], "updates": updates,
        "seconds_per_update": result["seconds"] / updates, "gflops": result["gflops"],
        "peak_rss_bytes": result["peak_rss_bytes"], "peak_rss_over_weights": result["peak_rss_bytes"] / weights,
        "loss_nats": result["val_loss_nats"], "paper_one_a40_seconds": one, "paper_eight_a40_seconds": eight,
    }


def markdown(rows):
    yield ("| size | H, heads | parameters | s an update | GFLOP/s | peak RSS | over weights | loss after updates |"
           " paper, one A40 | paper, 8 × A40 |")
    yield "|---|---|---:|---:|---:|---:|---:|---|---:|---:|"
    for r in rows:
        yield (f"| {r['size']} | {r['hidden_size']:,}, {r['heads']} | {r['parameters']:,} | {r['seconds_per_update']:.3g} "
               f"| {r['gflops']:.0f} | {r['peak_rss_bytes'] / 1e6:,.0f} MB | {r['peak_rss_over_weights']:.2f} "
               f"| {r['loss_nats']:.4f} after {r['updates']} | {r['paper_one_a40_seconds']} s "
               f"| {r['paper_eight_a40_seconds']} s |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longzoo", default=".build/release/longzoo")
    parser.add_argument("--sizes", default=",".join(SIZES), help="some of " + ", ".join(SIZES))
    parser.add_argument("--json", help="write the figures to this file as well")
    arguments = parser.parse_args()
    names = arguments.sizes.split(",")
    for name in names:
        if name not in SIZES:
            parser.error(f"{name} is none of {', '.join(SIZES)}")
    with tempfile.TemporaryDirectory() as folder:
        rows = [run(arguments.longzoo, name, pathlib.Path(folder)) for name in names]
    print("\n".join(markdown(rows)))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps({"results": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
