"""What the learning benchmarks share: task files, training runs that may fail, medians with ranges."""
import argparse
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from . import machine
from .markdown import short
from .program import BINARY


def say(*words):
    print(" ", *words, file=sys.stderr, flush=True)


def parser_of(text, seconds=None):
    """The options that every benchmark takes, --seconds where runs are as long as that."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    if seconds is not None:
        parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", help="a file for the results as JSON")
    return parser


class Runs:
    """Runs the program in a folder that goes away; keeps no state but that folder."""

    def __init__(self, folder, threads):
        self.folder, self.threads = Path(folder), threads
        self.environment = machine.environment(threads)
        self.numbers = itertools.count(1)  # next() is safe where runs go beside each other

    def name(self):
        return str(self.folder / f"run{next(self.numbers)}")

    def task(self, name, *options):
        """The path of a file with a task's tokens, which is written if it is not there."""
        path = self.folder / name
        if not path.exists():
            # Under another name until it is whole: runs go beside each other.
            part = self.folder / f"{name}.{next(self.numbers)}"
            with open(part, "wb") as file:
                subprocess.run([str(BINARY), "task", *map(str, options)], stdout=file, check=True, env=self.environment)
            part.replace(path)
        return str(path)

    def call(self, *arguments, accepted=(0,)):
        done = subprocess.run([str(BINARY), *map(str, arguments), "--json"], env=self.environment, capture_output=True, text=True)
        if done.returncode not in accepted:
            raise RuntimeError(f"longzoo {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)

    def train(self, data, *options, threads=None, folder=None):
        """The result of a run, one that diverged (exit code 1) too. Its weights are in result["out_dir"]."""
        return self.call("train", data, *options, "--threads", threads or self.threads, "--quiet", "--out-dir", folder or self.name(),
                         accepted=(0, 1))

    def evaluate(self, checkpoint, data, *options):
        return self.call("eval", checkpoint, data, *options, "--threads", self.threads)


def spread(values, figure=short):
    """median (least–most); values that are None are more than was waited for."""
    known = sorted(v for v in values if v is not None)
    if not known:
        return "–"
    missing = len(values) - len(known)
    text = figure(statistics.median(known))
    if len(known) > 1 and known[0] != known[-1]:
        text += f" ({figure(known[0])}–{figure(known[-1])})"
    return text + (f", {missing} of {len(values)} not" if missing else "")


def median(values):
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def write(path, threads, started, **document):
    """The results as JSON, with what they were measured on."""
    document = {"machine": machine.describe(threads), "wall_seconds": round(time.time() - started, 1)} | document
    text = json.dumps(document, indent=1)
    # One line for each innermost object: files stay readable and small.
    text = re.sub(r"\{[^{}\[\]]*\}|\[[^{}\[\]]*\]", lambda found: " ".join(found.group().split()), text)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text + "\n")
