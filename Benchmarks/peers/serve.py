"""Measures peers on request: one JSON object a line on standard input, one a line in answer.

    {"do": "population", "key": …, "kind": "rank_one", "hidden": 256, "pairs": 64, "window": 8, "data": path}
    {"do": "paper", "key": …, "hidden": …, "heads": …}       {"do": "tbptt", "key": …, "hidden": …, "data": path}
    {"do": "measure", "key": …, "what": "step" or "update", "seconds": 1}
    {"do": "check", …}   {"do": "forget"}   {"do": "versions"}

Between two requests it waits and uses no processor, so that ours and theirs can take turns.
"""
import json
import os
import sys
import time

import numpy as np
import torch

import check
from dense_copies import DenseCopies
from model import Shape, bernoulli_signs, bit_signs
from one_at_a_time import OneAtATime
from paper_cdrge import PaperCDRGE
from rank_one import RankOne
from truncated_bptt import TruncatedBPTT, read

KINDS = {"one_at_a_time": OneAtATime, "one_at_a_time_bits": lambda shape: OneAtATime(shape, signs=bit_signs), "dense_copies": DenseCopies, "rank_one": RankOne,
         "rank_one_compiled": lambda shape: RankOne(shape, compiled=True)}


class PopulationRun:
    """A population on windows of a file, every pair at a position of its own."""

    def __init__(self, request):
        self.shape = Shape(request.get("vocabulary", 256), request["hidden"], request["pairs"], request["window"])
        data = torch.from_numpy(np.fromfile(request["data"], dtype=np.uint8).astype(np.int64))
        self.population = KINDS[request["kind"]](self.shape)
        self.tokens = data[: len(data) // self.shape.pairs * self.shape.pairs].view(self.shape.pairs, -1).t().contiguous()
        self.position = 0
        self.population.draw()
        self.units = 2 * self.shape.pairs * self.shape.window

    def window(self):
        if self.position + self.shape.window + 1 > len(self.tokens):
            self.position = 0
        self.position += self.shape.window
        return self.tokens[self.position - self.shape.window : self.position + 1]

    def step(self):
        return self.population.step(self.window())

    def update(self):
        return self.population.update(self.window())


class PaperRun:
    units = 1

    def __init__(self, request):
        self.run = PaperCDRGE(hidden=request["hidden"], heads=request["heads"], pairs=request["pairs"], tokens=request["tokens"],
                              signs=bit_signs if request["fast_signs"] else bernoulli_signs)
        self.details = {"parameters": self.run.parameter_count}

    def update(self):
        return self.run.update()


class TBPTTRun:
    def __init__(self, request):
        self.run = TruncatedBPTT(read(request["data"]), hidden=request["hidden"], streams=request["streams"], window=request["window"])
        self.units = request["streams"] * request["window"]

    def update(self):
        return self.run.update()


MAKERS = {"population": PopulationRun, "paper": PaperRun, "tbptt": TBPTTRun}


def measure(run, what, seconds):
    """Units a second over whole steps or updates, for at least `seconds`."""
    act = getattr(run, what)
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < seconds:
        act()
        count += 1
    elapsed = time.perf_counter() - start
    return {"rate": count * run.units / elapsed, "count": count, "seconds": elapsed}


def answer(request, runs):
    do = request["do"]
    if do in MAKERS:
        runs[request["key"]] = run = MAKERS[do](request)
        for what in ("step", "update"):  # the first calls allocate, and compile
            if hasattr(run, what):
                measure(run, what, 0.2)
        return getattr(run, "details", {})
    if do == "measure":
        return measure(runs[request["key"]], request["what"], request["seconds"])
    if do == "check":
        return check.run(request)
    if do == "forget":
        runs.clear()
        return {}
    if do == "versions":
        return {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__,
                "cpu_capability": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()}
    raise ValueError(f"nobody knows how to {do}")


def main():
    out = os.fdopen(os.dup(1), "w")  # whatever else prints goes to standard error
    os.dup2(2, 1)
    torch.set_num_threads(int(sys.argv[1]))
    runs = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), runs)
        except Exception as error:  # told to the other side, which decides
            reply = {"error": f"{type(error).__name__}: {error}".split("\n")[0]}
        print(json.dumps(reply), file=out, flush=True)


main()
