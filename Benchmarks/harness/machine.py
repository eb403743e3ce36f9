"""What a table must say about where it was measured."""
import os
import platform
import re
import subprocess
from datetime import datetime, timezone

from .program import ROOT

# OpenBLAS picks its kernels by processor; these variables overrule it, and are unset for ours and theirs alike.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def environment(threads):
    """For all that is measured."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET and not name.startswith("LONGZOO_")}
    return kept | {"OMP_NUM_THREADS": str(threads)}


def first_match(pattern, text, default="unknown"):
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else default


def processor():
    """Model, and family and model numbers where the name says little (as under a hypervisor)."""
    try:
        info = open("/proc/cpuinfo").read()
    except OSError:
        return platform.processor() or platform.machine()
    field = lambda name: first_match(rf"^{name}\s*:\s*(.*)$", info, "")
    name = field("model name")
    return f"{name} (family {field('cpu family')}, model {field('model')})" if name else platform.machine()


def system():
    try:
        name = first_match(r'^PRETTY_NAME="?([^"\n]*)', open("/etc/os-release").read())
    except OSError:
        name = platform.system()
    return f"{name}, kernel {platform.release()}"


def commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    return git("rev-parse", "--short=12", "HEAD") + (" with changes" if git("status", "--porcelain", "-uno", "Sources", "Package.swift") else "")


def swift_version():
    try:
        text = subprocess.run(["swift", "--version"], capture_output=True, text=True).stdout
    except OSError:
        return None
    return first_match(r"Swift version (\S+)", text)


def describe(threads):
    return {
        "processor": processor(), "cores": os.cpu_count(), "threads": threads, "system": system(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "swift": swift_version(), "commit": commit(), "openblas_coretype": "unset",
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}
