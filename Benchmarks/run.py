#!/usr/bin/env python3
"""Measures longzoo beside the machine and beside its peers, and writes one table: results.json and results.md.

    make bench                      all sections, about twenty minutes on two cores
    make bench BENCH='peers paper'  some of them; the others keep what they had
    make bench BENCH=--quick        a smoke test of all of them, into a temporary folder
    make bench BENCH=--check        do the peers compute what they claim to? no timing
    make bench BENCH=--agree        does longzoo bench still print what is stored, within a tenth?

Needs the release build and a Python of 3.9 or later; PyTorch is installed in .venv on first use (PYTHON=… names an interpreter that has it).
"""
import argparse
import json
import os
import shutil
import sys
import time
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from harness import agree, check, machine, quote
from harness.context import Context
from harness.program import BINARY, ROOT

SECTIONS = ["kernels", "train", "peers", "paper", "tbptt", "profile", "reading", "length"]
# Pages that quote results between marks.
PAGES = [ROOT / "docs/results.md", ROOT / "Benchmarks/README.md"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=", ".join(SECTIONS) + " (default: all)")
    parser.add_argument("--quick", action="store_true", help="few rounds, short ones; results go to a temporary folder")
    parser.add_argument("--check", action="store_true", help="compare the peers' losses and estimates, and measure nothing")
    parser.add_argument("--agree", action="store_true", help="measure the kernels again and compare with the stored figures")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="on both sides (default: all processors)")
    parser.add_argument("--out", type=Path, help="folder of results.json and results.md (default: Benchmarks)")
    parsed = parser.parse_args()
    for name in parsed.sections:
        if name not in SECTIONS:
            parser.error(f"there is no section {name}; there are {', '.join(SECTIONS)}")
    if not BINARY.exists():
        parser.error(f"{BINARY.relative_to(ROOT)} is missing: make build")
    return parsed


def section_body(name, entry):
    """Where a section was measured, and what."""
    m = entry["machine"]
    where = (f"*{m['processor']}, {m['threads']} threads of {m['cores']} cores, {m['system']}; commit {m['commit']}, {m['date']}, "
             f"{entry['seconds']:.0f} s{', quick: few rounds' if entry['quick'] else ''}.*")
    return f"{where}\n\n{import_module('sections.' + name).markdown(entry['data'])}\n"


def section_text(name, entry):
    return f"## {import_module('sections.' + name).TITLE}\n\n{section_body(name, entry)}"


HEAD = """# Results

Written by `make bench` from results.json; see [README](README.md) for what is measured and how. `OPENBLAS_CORETYPE` was unset for everything;
ours and theirs took turns, and figures are medians over the rounds.

"""


def write(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("results.json", json.dumps(results, indent=1) + "\n"),
                       ("results.md", HEAD + "\n".join(section_text(n, results[n]) for n in SECTIONS if n in results))):
        temporary = folder / (name + ".new")
        temporary.write_text(text)
        temporary.replace(folder / name)


def measure(options, context):
    folder = options.out or (context.folder / "out" if options.quick else ROOT / "Benchmarks")
    stored = folder / "results.json"
    results = json.loads(stored.read_text()) if stored.exists() else {}
    failed = []
    for name in options.sections or SECTIONS:
        module = import_module("sections." + name)
        print(f"{name}: {module.TITLE}", file=sys.stderr, flush=True)
        description, start = machine.describe(context.threads), time.monotonic()
        try:
            data = module.measure(context)
        except Exception as error:  # the other sections need not suffer; what was stored of this one stays
            print(f"{name} FAILED: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        results[name] = {"machine": description, "quick": options.quick, "seconds": time.monotonic() - start, "data": data}
        write(results, folder)  # after every section, so that what is done stays
        print(section_text(name, results[name]), flush=True)
    if not options.quick or options.out:
        print(f"wrote {folder / 'results.json'} and {folder / 'results.md'}", file=sys.stderr)
    if folder == ROOT / "Benchmarks" and not options.quick:
        for page in PAGES:
            if quote.update(page, {name: section_body(name, entry) for name, entry in results.items()}):
                print(f"brought {page.relative_to(ROOT)} up to date", file=sys.stderr)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def main():
    options = arguments()
    context = Context(threads=options.threads, quick=options.quick)
    try:
        if options.check:
            sys.exit(check.run(context))
        if options.agree:
            sys.exit(agree.run(context, (options.out or ROOT / "Benchmarks") / "results.json"))
        measure(options, context)
    finally:
        if context.has_peer:
            context.peer.close()
        shutil.rmtree(context.folder, ignore_errors=True)


main()
