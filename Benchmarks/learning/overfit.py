#!/usr/bin/env python3
"""One batch learned by heart: CD-RGE with 8, 32, 96 and 512 pairs beside back-propagation, every method tuned alike.

    Benchmarks/learning/overfit.py [--quick] [--seeds 3] [--out results/overfit.json]

An LSTM of the paper's "tiny" size (H = 128, V = 128, one layer: 148,096 parameters) sees one context of eight copy sequences of five letters
(96 tokens, 48 of them answers) again and again, and makes one update a context, until the loss of a context is below 0.1 nats. That
loss is each method's own: of the weights before the update for back-propagation, the mean over the perturbed models for CD-RGE; the loss of the
final weights themselves stands beside it.

Tuning is the same for every row but those that are untuned on purpose: five rates a factor of three apart, then two more values of a second option (back-propagation: --clip-norm, CD-RGE:
--eps) at the best rate, on seed 1 and its batch. A rate that is best at the edge of its grid is followed by the next one, twice at
most. A trial ends where it is behind the best one's updates. The best setting then runs on other seeds, with other batches, one after
another on all threads: those are the figures.

The whole takes an hour or two. Every row is written to the file of --out when it is ready, and a row that the file has is not measured again.
"""
import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.learning import Runs, median, say, spread, write
from harness.markdown import short, table

TARGET = 0.1
TOKENS = 96
COMMON = ["--targets", "marked", "--vocab-size", 128, "--hidden-size", 128, "--window", "context", "--val-fraction", 0]
PAIRS = [8, 32, 96, 512]
RATES = [1, 1 / 3, 3, 1 / 9, 9]
SGD, MOMENTUM, ADAM = ["--optimizer", "sgd", "--momentum", 0], ["--optimizer", "sgd", "--momentum", 0.9], ["--optimizer", "adam"]


class Method:
    """A row: fixed options, the rate in the middle of its grid, the most updates, and the values of its second option."""

    def __init__(self, name, options, rate, most, second=None, pairs=None):
        self.name, self.options, self.rate, self.most, self.second, self.pairs = name, options, rate, most, second, pairs


def back_propagation(name, optimizer, rate, most=3000, is_tuned=True):
    return Method(name, ["--estimator", "bptt", *optimizer, "--lr-schedule", "constant", "--weight-decay", 0], rate, most, ("--clip-norm", 1, [0.3, 3]) if is_tuned else None)


def methods(sizes):
    # Updates that are waited for: some 20 to 40 seconds on one core.
    most = {8: 20000, 32: 8000, 96: 3000, 512: 1500}
    rows = [back_propagation("BPTT, SGD, untuned: 0.01", SGD, 0.01, most=30000, is_tuned=False),
            back_propagation("BPTT, SGD, untuned: 0.1", SGD, 0.1, most=30000, is_tuned=False),
            back_propagation("BPTT, SGD", SGD, 9), back_propagation("BPTT, SGD with momentum 0.9", MOMENTUM, 1),
            back_propagation("BPTT, Adam", ADAM, 0.03)]

    def family(name, options, rates, share=1.0, eps=0.01):
        second = ("--eps", eps, [eps / 3, eps * 3])
        for n in sizes:
            near = min(rates, key=lambda size: abs(size - n))
            rows.append(Method(f"CD-RGE@{n}, {name}", ["--pairs", n, "--streams", 1, *options], rates[near],
                               int(most.get(n, most[near]) * share), second, n))

    zeroth = ["--readout", "zo"]
    family("the paper's way: SGD, full-rank signs", [*zeroth, *SGD, "--perturbation", "rademacher"], {8: 0.003, 32: 0.01, 96: 0.03, 512: 0.1}, 0.5)
    family("Adam", [*zeroth, *ADAM], {8: 0.002, 32: 0.003, 96: 0.006, 512: 0.02})
    family("SGD with Polyak's step", [*zeroth, *SGD, "--step", "polyak"], {8: 0.03, 32: 0.05, 96: 0.1, 512: 0.3}, 0.5)
    family("Adam, exact readout", ["--readout", "exact", *ADAM], {8: 0.01, 32: 0.03, 96: 0.03, 512: 0.03}, 0.5)
    return rows


class Bench:
    def __init__(self, runs, threads):
        self.runs, self.threads = runs, threads

    def batch(self, seed):
        return self.runs.task(f"batch{seed}", "copy", "--length", 5, "--sequences", 8, "--targets", "marked", "--seed", seed)

    def trial(self, method, rate, second, seed, most, threads, saves=False):
        options = [*COMMON, *method.options, "--context", TOKENS, "--lr", f"{rate:.4g}", "--seed", seed, "--max-steps", most,
                   "--stop-below", TARGET, "--loss-windows", 1]
        if method.second:
            options += [method.second[0], second]
        result = self.runs.train(self.batch(seed), *options, *([] if saves else ["--save-interval", "never"]), threads=threads)
        reached = result["stopped_by"] == "stop-below"
        return {"rate": float(f"{rate:.4g}"), "second": second, "seed": seed, "reached": reached, "steps": result["steps"],
                "loss": result["train_loss_nats"], "stopped_by": result["stopped_by"]}, result

    def tune(self, method):
        """All trials, the best first."""
        if not method.second:
            return [self.trial(method, method.rate, None, 1, method.most, 1)[0]]
        trials = []

        def go(settings):
            best = min((t["steps"] for t in trials if t["reached"]), default=method.most)
            with ThreadPoolExecutor(self.threads) as pool:
                trials.extend(pool.map(lambda s: self.trial(method, *s, 1, best, 1)[0], settings))
            trials.sort(key=lambda t: (not t["reached"], t["steps"] if t["reached"] else 0, t["loss"] if t["loss"] == t["loss"] else 1e9))

        default = method.second[1]
        # In rounds of two whatever the threads are, so that where a trial ends does not depend on the machine.
        rates = [method.rate * factor for factor in RATES]
        for first in range(0, len(rates), 2):
            go([(rate, default) for rate in rates[first:first + 2]])
        # What is best at the edge of its grid has not been found yet.
        for _ in range(2):
            tried = [t["rate"] for t in trials]
            best = trials[0]["rate"]
            if not trials[0]["reached"] or min(tried) < best < max(tried):
                break
            go([(best * (3 if best == max(tried) else 1 / 3), default)])
        if trials[0]["reached"]:
            go([(trials[0]["rate"], value) for value in method.second[2]])
        return trials

    def measure(self, method, best, seeds):
        rows = []
        for seed in seeds:
            one, result = self.trial(method, best["rate"], best["second"], seed, 3 * method.most, self.threads, saves=True)
            clean = self.runs.evaluate(result["out_dir"] + "/checkpoint.safetensors", self.batch(seed), "--targets", "marked",
                                       "--reset-every", TOKENS)
            rows.append(one | {
                "clean_loss": clean["loss_nats"], "right_answers": clean["sequence_accuracy"], "seconds": result["seconds"],
                "token_columns": result["token_columns"], "activation_bytes": result["memory"]["activations"],
                "ledger_bytes": result["memory"]["peak_total"], "peak_rss_bytes": result["peak_rss_bytes"]})
        return rows

    def planned(self, method, context):
        options = [*COMMON, *method.options, "--context", context]
        return self.runs.call("train", self.batch(1), *options, "--dry-run")["activations"]

    def row(self, method, seeds):
        trials = self.tune(method)
        best = trials[0]
        say(f"{method.name}: {best['steps']} updates at rate {best['rate']}" + ("" if best["reached"] else ": not reached"))
        return {"method": method.name, "pairs": method.pairs, "options": " ".join(map(str, method.options)),
                "second": method.second and method.second[0], "most_steps": method.most, "trials": trials,
                "runs": self.measure(method, best, seeds) if best["reached"] else [],
                "planned_activation_bytes": {str(n): self.planned(method, n) for n in (TOKENS, 1_000_000)}}


def size(count):
    return f"{count / 2**20:.2f} MiB" if count < 2**30 else f"{count / 2**30:.2f} GiB"


def setting(row):
    """The best of the grid, and the steps of the rates beside it."""
    best = row["trials"][0]
    if not row["second"]:
        return f"{best['rate']:g}, clip-norm 1: not tuned"
    text = f"{best['rate']:g}, {row['second'][2:]} {best['second']:g}"
    rates = sorted({t["rate"] for t in row["trials"]})
    place = rates.index(best["rate"])

    def steps(rate):
        trial = next(t for t in row["trials"] if t["rate"] == rate)
        return f"{rate:g}: " + (str(trial["steps"]) if trial["reached"] else
                                "diverged" if trial["stopped_by"] == "diverged" else f"> {trial['steps']}")
    beside = [steps(rates[i]) for i in (place - 1, place + 1) if 0 <= i < len(rates)]
    return text + f" ({'; '.join(beside)})"


def rows(results):
    for row in results:
        runs = row["runs"]
        steps = [r["steps"] if r["reached"] else None for r in runs]
        planned = row["planned_activation_bytes"]
        bytes_ = [size(planned[str(TOKENS)]), size(planned["1000000"])]
        if not runs:
            best = row["trials"][0]
            yield [row["method"], setting(row), f"> {best['steps']:,}, loss {best['loss']:.2f}" if best["stopped_by"] != "diverged"
                   else "diverged", "–", "–", "–", *bytes_, "–"]
            continue
        yield [row["method"], setting(row), spread(steps, lambda v: f"{v:,.0f}"), spread([r["seconds"] for r in runs]),
               short(median([r["token_columns"] for r in runs])), f"{max(r['clean_loss'] for r in runs):.3f}", *bytes_,
               f"{median([r['peak_rss_bytes'] for r in runs]) / 2**20:.1f} MiB"]


HEAD = ["method", "rate and second option chosen (updates at the rates beside)", "updates to loss < 0.1: median (range)",
        "seconds", "token-columns", "loss of the weights, most", "activations, 96 tokens", "activations, 1M tokens", "peak RSS"]


def ratios(results):
    """The claim "up to 19 times fewer updates", against each opponent."""
    steps = {r["method"]: median([x["steps"] for x in r["runs"] if x["reached"]]) for r in results}
    opponents = [r for r in results if r["pairs"] is None]
    for row in results:
        ours = steps[row["method"]]
        if row["pairs"] is None or ours is None:
            continue
        yield [row["method"], *(f"{steps[o['method']] / ours:.2g} ×" if steps[o["method"]] else f"> {o['most_steps'] / ours:.2g} ×" for o in opponents)]


def known(path, seeds):
    """The rows that a file has, by the method's name."""
    if not path or not os.path.exists(path):
        return {}
    document = json.loads(Path(path).read_text())
    if document["seeds"] != list(seeds):
        sys.exit(f"{path} has results of seeds {document['seeds']}, not of {list(seeds)}: name another file")
    return {row["method"]: row for row in document["results"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="96 pairs only, and one seed: about three minutes")
    parser.add_argument("--pairs", help="numbers of pairs, separated by commas (default: 8,32,96,512)")
    parser.add_argument("--methods", help="only rows whose names contain this")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", help="a file for the results as JSON; what it has is kept")
    options = parser.parse_args()
    sizes = [int(n) for n in options.pairs.split(",")] if options.pairs else [96] if options.quick else PAIRS
    seeds = range(2, 2 + (options.seeds or (1 if options.quick else 3)))
    started = time.time()
    results = known(options.out, seeds)
    with tempfile.TemporaryDirectory(prefix="longzoo-overfit-") as folder:
        bench = Bench(Runs(folder, options.threads), options.threads)
        for method in methods(sizes):
            if method.name not in results and (options.methods is None or options.methods in method.name):
                results[method.name] = bench.row(method, seeds)
                if options.out:
                    write(options.out, options.threads, started, seeds=list(seeds), target_nats=TARGET, results=list(results.values()))
    # In the order of the methods, whenever they were measured.
    results = [results[m.name] for m in methods(sorted({*PAIRS, *sizes})) if m.name in results]
    print(table(HEAD, rows(results)))
    opponents = [r["method"] for r in results if r["pairs"] is None]
    print("\nUpdates of back-propagation over those of CD-RGE (above 1: CD-RGE needs fewer):\n")
    print(table(["", *opponents], ratios(results)))
    print(f"\n{len(seeds)} seed{'s' * (len(seeds) > 1)}, {options.threads} threads, {time.time() - started:.0f} s in all.")


if __name__ == "__main__":
    main()
