#!/usr/bin/env python3
"""Transduction: copy, reverse, sort and add while lengths grow, CD-RGE beside back-propagation with the same model and data.

    Benchmarks/learning/transduction.py [--quick] [--seconds 15] [--seeds 3] [--tasks copy,add] [--out FILE]

An LSTM (H = 64, one layer) learns sequences of 2..L letters or digits, L = 2, 3, 4, …: a stage is over once 90 % of 500 sequences that
were not trained on have answers that are right from the first token to the last, and the next one starts with its weights and a fresh optimizer.
A stage is looked at every half second. A chain of stages has --seconds of training on one core; as many chains as --threads run beside
each other. The length reached is that of the last stage passed, and its weights, which have seen nothing longer, answer new
sequences: of up to that length, and longer ones.

Every method has the best of eight settings (four rates, two values of a second option: back-propagation's --clip-norm, CD-RGE's and node's --eps) on
copy chains of another seed and a third of the seconds: the longest length, and at equal lengths the lowest loss in the stage that
it is in. Everything else is the same, except what a method is.

The second table is about a finite training set, where a gap between training and held-out loss can exist: 256 copy sequences of 2 to 4
letters, the held-out loss where the training loss (of the weights, both measured alike, without perturbation) first falls to 2, 1, 0.5 and 0.1 nats.
"""
import math
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.learning import Runs, median, parser_of, say, spread, write
from harness.markdown import short, table

TASKS = ["copy", "reverse", "sort", "add"]
SHARED = ["--targets", "marked", "--hidden-size", 64, "--window", "context", "--val-fraction", 0]
ADAM = ["--optimizer", "adam", "--lr-schedule", "constant", "--weight-decay", 0]
METHODS = {
    "BPTT, Adam": ["--estimator", "bptt", "--streams", 64, *ADAM],
    "BPTT, SGD with momentum": ["--estimator", "bptt", "--streams", 64, "--optimizer", "sgd"],
    "CD-RGE, exact readout": ["--pairs", 256],
    "CD-RGE, all zeroth-order": ["--pairs", 256, "--readout", "zo"],
    "node, exact readout": ["--pairs", 256, "--estimator", "node", "--credit-decay", 1],
    "node, all zeroth-order": ["--pairs", 256, "--estimator", "node", "--credit-decay", 1, "--readout", "zo"],
}
# Four rates, and two values of a second option.
GRIDS = {
    "BPTT, Adam": ([0.003, 0.01, 0.03, 0.1], "--clip-norm", [1, 0.3]),
    "BPTT, SGD with momentum": ([0.3, 1, 3, 9], "--clip-norm", [1, 0.3]),
    "CD-RGE, exact readout": ([0.0025, 0.005, 0.01, 0.02], "--eps", [0.05, 0.2]),
    "CD-RGE, all zeroth-order": ([0.0025, 0.005, 0.01, 0.02], "--eps", [0.05, 0.2]),
    "node, exact readout": ([0.002, 0.004, 0.008, 0.016], "--eps", [0.1, 0.2]),
    "node, all zeroth-order": ([0.002, 0.004, 0.008, 0.016], "--eps", [0.05, 0.1]),
}
PASSED, LONGEST, GLANCE = 0.9, 40, 0.5
SEQUENCES, JUDGES, EXAMINERS = 262_144, 500, 1000
TUNING_SEED, SEEDS_OF_JUDGES, SEEDS_OF_EXAMINERS = 100, 1000, 2000
GAP_TASK, GAP_LENGTH, GAP_SEQUENCES, GAP_LOSSES = "copy", "2..4", 256, [2, 1, 0.5, 0.1]


def padded(task, length):
    """Tokens of the longest sequence: `abc abc\\n`, or `3+9+1=13\\n`, whose sum has up to as many digits as 9 · length."""
    return 2 * length + 2 if task != "add" else 2 * length + len(str(9 * length)) + 1


class Bench:
    def __init__(self, folder, seconds):
        self.runs, self.seconds, self.writing = Runs(folder, 1), seconds, threading.Lock()

    def sequences(self, task, lengths, count, seed):
        """A file of sequences, and the tokens of each."""
        pad = padded(task, int(str(lengths).split("..")[-1]))
        name = f"{task}-{lengths}-{count}-{seed}"
        with self.writing:  # chains beside each other share the file
            return self.runs.task(name, task, "--targets", "marked", "--length", lengths, "--pad", pad, "--sequences", count,
                                  "--seed", seed), pad

    def score(self, weights, task, lengths, count, seed):
        data, pad = self.sequences(task, lengths, count, seed)
        return self.runs.evaluate(weights, data, "--targets", "marked", "--reset-every", pad)

    def chain(self, task, method, rate, second, seed, seconds):
        """The stages of a chain; the last one is where the time was over."""
        stages, left, weights = [], seconds, None
        for length in range(2, LONGEST + 1):
            stage, weights = self.stage(task, method, rate, second, seed, length, left, weights)
            stages.append(stage)
            left -= stage["seconds"]
            if not stage["passed"] or left < GLANCE / 2:
                break
        return stages

    def stage(self, task, method, rate, second, seed, length, left, weights):
        data, pad = self.sequences(task, f"2..{length}", SEQUENCES, seed)
        folder = self.runs.name()
        begin = [*options(method, rate, second), "--seed", seed, "--context", pad, *(["--init", weights] if weights else [])]
        spent, passed = 0, False
        while not passed and left - spent > GLANCE / 2:
            goal = ["--max-seconds", round(spent + min(GLANCE, left - spent), 3)]
            result = self.runs.train(data, *(["--resume", folder] if spent else begin), *goal, folder=folder)
            spent = result["seconds"]
            if result["stopped_by"] == "diverged":
                break
            judged = self.score(folder, task, f"2..{length}", JUDGES, SEEDS_OF_JUDGES + seed)
            passed = judged["sequence_accuracy"] >= PASSED
        diverged = result["stopped_by"] == "diverged"
        stage = {"length": length, "passed": passed, "diverged": diverged, "updates": result["steps"], "seconds": spent, "tokens": result["tokens"],
                 "token_columns": result["token_columns"], "loss": None if diverged else judged["loss_nats"],
                 "right_answers": None if diverged else judged["sequence_accuracy"], "activation_bytes": result["memory"]["activations"],
                 "ledger_bytes": result["memory"]["peak_total"], "peak_rss_bytes": result["peak_rss_bytes"], "out_dir": folder}
        return stage, folder + "/model.safetensors"

    def trial(self, method, rate, second):
        stages = self.chain("copy", method, rate, second, TUNING_SEED, self.seconds / 3)
        say(f"{method}, {rate}, {second}: length {reached(stages)}")
        return {"rate": rate, "second": second, "reached": reached(stages), "loss": stages[-1]["loss"]}

    def examine(self, task, method, rate, second, seed):
        stages = self.chain(task, method, rate, second, seed, self.seconds)
        length = reached(stages)
        last = stages[-1] if length == 0 else [s for s in stages if s["passed"]][-1]
        new = SEEDS_OF_EXAMINERS + seed
        exact = lambda n: self.score(last["out_dir"], task, n, EXAMINERS, new)["sequence_accuracy"]
        base = max(length, 2)
        row = {"task": task, "method": method, "rate": rate, "second": second, "seed": seed, "length": length,
               "up_to_it": self.score(last["out_dir"], task, f"2..{base}", EXAMINERS, new)["sequence_accuracy"],
               "by_length": {n: exact(n) for n in sorted({2, 3, 4, 8, base, base + 1, base + 2, base + 4, 2 * base})},
               "stages": [{k: v for k, v in s.items() if k != "out_dir"} for s in stages]}
        for name in ("updates", "seconds", "tokens", "token_columns"):
            row[name] = sum(s[name] for s in stages)
        for name in ("activation_bytes", "ledger_bytes", "peak_rss_bytes"):
            row[name] = max(s[name] for s in stages)
        say(f"{task}, {method}, seed {seed}: length {length}, {row['updates']} updates")
        return row

    def gap(self, method, rate, second, seed):
        """Training and held-out loss while one finite set is learned."""
        data, pad = self.sequences(GAP_TASK, GAP_LENGTH, GAP_SEQUENCES, seed)
        folder, curve, steps, spent = self.runs.name(), [], 10, 0
        begin = [*options(method, rate, second), "--seed", seed, "--context", pad]
        while spent < self.seconds:
            result = self.runs.train(data, *(["--resume", folder] if curve else begin), "--max-steps", steps, folder=folder)
            spent = result["seconds"]
            if result["stopped_by"] == "diverged":
                break
            trained = self.score(folder, GAP_TASK, GAP_LENGTH, GAP_SEQUENCES, seed)
            held = self.score(folder, GAP_TASK, GAP_LENGTH, EXAMINERS, SEEDS_OF_EXAMINERS + seed)
            curve.append({"updates": steps, "seconds": spent, "train_nats": trained["loss_nats"], "held_out_nats": held["loss_nats"],
                          "train_right": trained["sequence_accuracy"], "held_out_right": held["sequence_accuracy"]})
            if trained["loss_nats"] < GAP_LOSSES[-1]:
                break
            steps = max(steps + 10, int(steps * 1.15))
        say(f"gap, {method}, seed {seed}: " + (f"{curve[-1]['train_nats']:.3f} trained, {curve[-1]['held_out_nats']:.3f} held out" if curve else "diverged"))
        return {"method": method, "rate": rate, "second": second, "seed": seed, "seconds": spent, "curve": curve}


def options(method, rate, second):
    return [*SHARED, *METHODS[method], "--lr", rate, GRIDS[method][1], second]


def reached(stages):
    return max((s["length"] for s in stages if s["passed"]), default=0)


def at(curve, loss, key):
    """`key` where the training loss first falls to `loss`: between two measurements by the logarithm of the training loss."""
    for before, after in zip(curve, curve[1:]):
        if before["train_nats"] > loss >= after["train_nats"]:
            share = math.log(before["train_nats"] / loss) / math.log(before["train_nats"] / after["train_nats"])
            return before[key] + share * (after[key] - before[key])
    return None


def percent(values):
    return spread([v if v is None else round(v, 2) for v in values], "{:.0%}".format)


def setting(run):
    return f"{run['rate']:g}, {GRIDS[run['method']][1][2:]} {run['second']:g}"


def rows(results):
    for task in dict.fromkeys(r["task"] for r in results):
        for method in METHODS:
            runs = [r for r in results if r["task"] == task and r["method"] == method]
            if not runs:
                continue
            beyond = lambda length: percent([r["by_length"][length(r["length"])] if r["length"] else None for r in runs])
            yield [task, method, spread([r["length"] for r in runs], "{:.0f}".format), percent([r["up_to_it"] for r in runs]),
                   percent([r["by_length"][3] for r in runs]), beyond(lambda n: n + 1), beyond(lambda n: n + 2), beyond(lambda n: n + 4), beyond(lambda n: 2 * n),
                   f"{median([r['updates'] for r in runs]):,.0f}", short(median([r["token_columns"] for r in runs])),
                   f"{max(r['activation_bytes'] for r in runs) / 2**20:.2f} MiB", f"{max(r['peak_rss_bytes'] for r in runs) / 2**20:.0f} MiB"]


HEAD = ["task", "method", "length reached L: median (range)", "right, 2..L", "right at 3", "at L+1", "at L+2", "at L+4", "at 2L", "updates",
        "token-columns", "activations, most", "peak RSS, most"]


def gap_rows(results):
    nats = "{:.2f}".format
    for method, second in dict.fromkeys((r["method"], r["second"]) for r in results):
        runs = [r for r in results if (r["method"], r["second"]) == (method, second)]
        yield [method, setting(runs[0]), *(spread([at(r["curve"], loss, "held_out_nats") for r in runs], nats) for loss in GAP_LOSSES),
               percent([r["curve"][-1]["held_out_right"] if r["curve"] else None for r in runs]),
               spread([r["curve"][-1]["updates"] if r["curve"] else None for r in runs], "{:,.0f}".format), spread([r["seconds"] for r in runs])]


GAP_HEAD = ["method", "rate, second option", *(f"held out at {loss} nats of training" for loss in GAP_LOSSES), "held-out answers right, at the end", "updates", "seconds"]


def choose(trials, second=None):
    """The best rate and second value of a method's trials; or the best rate at one second value."""
    fitting = [t for t in trials if second in (None, t["second"])]
    best = min(fitting, key=lambda t: (-t["reached"], math.inf if t["loss"] is None else t["loss"]))
    return best["rate"], best["second"]


def finite_settings(tried):
    """What learns the finite set: each method as it was chosen, CD-RGE with both values of ε, each at its best rate."""
    for method, trials in tried.items():
        for second in GRIDS[method][2] if GRIDS[method][1] == "--eps" else [choose(trials)[1]]:
            yield method, *choose(trials, second)


def main():
    parser = parser_of(__doc__, seconds=15)
    parser.add_argument("--quick", action="store_true", help="one seed, chains of 5 seconds")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--tasks", default=",".join(TASKS), help="separated by commas (default: all)")
    arguments = parser.parse_args()
    seconds = 5 if arguments.quick else arguments.seconds
    seeds = range(1, 1 + (arguments.seeds or (1 if arguments.quick else 3)))
    started = time.time()
    with tempfile.TemporaryDirectory(prefix="longzoo-transduction-") as folder, ThreadPoolExecutor(arguments.threads) as pool:
        bench = Bench(folder, seconds)
        everything = lambda work, jobs: list(pool.map(lambda job: work(*job), jobs))
        trials = [(method, rate, second) for method, (rates, _, others) in GRIDS.items() for rate in rates for second in others]
        tried = {method: [] for method in METHODS}
        for (method, *_), result in zip(trials, everything(bench.trial, trials)):
            tried[method].append(result)
        chosen = {method: choose(results) for method, results in tried.items()}
        say("rates and second options:", chosen)
        results = everything(bench.examine, [(task, method, *chosen[method], seed) for seed in seeds
                                             for task in arguments.tasks.split(",") for method in METHODS])
        gaps = everything(bench.gap, [(*settings, seed) for seed in seeds for settings in finite_settings(tried)])
    print(table(HEAD, rows(results)))
    print()
    print(table(GAP_HEAD, gap_rows(gaps)))
    print(f"\n{len(seeds)} seed{'s' * (len(seeds) > 1)}, {seconds:g} s a chain, {arguments.threads} chains beside each other, {time.time() - started:.0f} s in all.")
    if arguments.out:
        write(arguments.out, 1, started, seconds=seconds, seeds=list(seeds), tuning=tried, results=results, gaps=gaps)


if __name__ == "__main__":
    main()
