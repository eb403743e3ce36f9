"""PyTorch, in a process that waits between two measurements."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .program import ROOT

SERVER = ROOT / "Benchmarks/peers/serve.py"


class PeerError(Exception):
    """What a peer could not do."""


def interpreter():
    """PYTHON, or the one in .venv, where PyTorch is installed if it is not there."""
    named = os.environ.get("PYTHON")
    if named:
        return named
    python = ROOT / ".venv/bin/python"
    has_torch = python.exists() and subprocess.run([python, "-c", "import torch, numpy"], capture_output=True).returncode == 0
    if not has_torch:
        print("installing PyTorch in .venv (once; PYTHON=… names an interpreter that has it)", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", ROOT / ".venv"], check=True)
            subprocess.run([ROOT / ".venv/bin/pip", "install", "--quiet", "torch", "numpy"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PeerError(f"PyTorch could not be installed (Debian's venv is in python3-venv): {error}") from error
    return str(python)


class Peer:
    def __init__(self, environment, threads):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [interpreter(), str(SERVER), str(threads)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, text=True)
        self.versions = self.ask("versions")

    def ask(self, do, **request):
        self.process.stdin.write(json.dumps({"do": do} | {k: str(v) if isinstance(v, Path) else v for k, v in request.items()}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise RuntimeError("the PyTorch process ended: " + self.errors.read()[-2000:])
        reply = json.loads(line)
        if "error" in reply:
            raise PeerError(reply["error"])
        return reply

    def rate(self, key, what, seconds):
        """Units a second."""
        return self.ask("measure", key=key, what=what, seconds=seconds)["rate"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
