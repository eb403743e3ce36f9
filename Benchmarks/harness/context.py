"""What every section is given."""
import random
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from . import machine
from .peer import Peer
from .program import ROOT, Longzoo


@dataclass
class Context:
    threads: int
    quick: bool
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="longzoo-bench-")))

    @cached_property
    def environment(self):
        return machine.environment(self.threads)

    @cached_property
    def longzoo(self):
        return Longzoo(self.environment, self.threads)

    @cached_property
    def peer(self):
        """PyTorch, from when it is first needed."""
        return Peer(self.environment, self.threads)

    @property
    def has_peer(self):
        return "peer" in self.__dict__

    @property
    def corpus(self):
        return ROOT / "corpora/zoo.zst"

    def random_tokens(self, count, vocabulary=256):
        """A file of bytes below `vocabulary`, the same every time: what is timed does not depend on the text."""
        path = self.folder / f"{count}-{vocabulary}.bin"
        if not path.exists():
            path.write_bytes(bytes(b % vocabulary for b in random.Random(1337).randbytes(count)))
        return path

    def say(self, text):
        print(f"  {text}", file=sys.stderr, flush=True)
