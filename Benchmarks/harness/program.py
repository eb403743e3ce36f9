"""Runs the program that is measured."""
import json
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / ".build/release/longzoo"
# Random bytes teach nothing: a low rate keeps the weights where they are, and costs what any other does.
RATE = 0.001
# How a run ends that was measured to its end.
COMPLETE = ("max-seconds", "max-tokens", "max-steps")


class Longzoo:
    def __init__(self, environment, threads):
        self.environment, self.threads = environment, threads

    def run(self, *arguments, stdin=None, wrapper=()):
        """The JSON that a command prints."""
        command = [*map(str, wrapper), str(BINARY), *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, stdin=stdin or subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)

    def train(self, data, *options, keep=None, **how):
        """A training run without evaluation or checkpoints; what it leaves goes away, or into `keep`."""
        with tempfile.TemporaryDirectory() as folder:
            saving = [] if keep else ["--save-interval", "never"]
            held_out = [] if data == "-" else ["--val-fraction", 0]
            result = self.run(
                "train", data, "--optimizer", "adam", "--lr-schedule", "constant", *options, *held_out, *saving, "--lr", RATE, "--threads", self.threads, "--json", "--quiet",
                "--out-dir", keep or Path(folder) / "run", **how)
        if result["stopped_by"] not in COMPLETE:
            raise RuntimeError(f"a run that was to be measured ended early: {result['stopped_by']}")
        return result
