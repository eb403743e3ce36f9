#!/usr/bin/env python3
"""Measures memory against context, and draws docs/memory.svg.

    python3 Benchmarks/memory_plot.py .build/release/longzoo

Each context is a process of its own: one stream of so many tokens of the bundled corpus, H = 128, 64 pairs, one context. The
ledger's total and the peak resident set are what the process itself reports; the line of full BPTT is computed: four gates, c
and h of every token, in float. Needs nothing but Python; the longest run takes some minutes.
"""
import json
import math
import subprocess
import sys
import tempfile

HIDDEN, PAIRS = 128, 64
CONTEXTS = [1_000, 10_000, 100_000, 1_000_000]
BPTT_BYTES_PER_TOKEN = 4 * 6 * HIDDEN


def measure(binary, context):
    with tempfile.TemporaryDirectory() as folder:
        out = subprocess.run(
            [binary, "train", "corpora/zoo.zst", "--context", str(context), "--streams", "1", "--pairs", str(PAIRS), "--quiet",
             "--hidden-size", str(HIDDEN), "--eval-tokens", "10000", "--json", "--out-dir", folder + "/run"],
            check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def draw(rows):
    width, height, left, right, top, bottom = 760, 420, 76, 24, 48, 56
    x0, x1, y0, y1 = 3, 9, 20, 42  # log10 of tokens, log2 of bytes

    def x(tokens):
        return left + (math.log10(tokens) - x0) / (x1 - x0) * (width - left - right)

    def y(size):
        return height - bottom - (math.log2(size) - y0) / (y1 - y0) * (height - top - bottom)

    style = """<style>
text{font:13px system-ui,sans-serif;fill:#333}.t{font-size:15px;font-weight:600}.g{stroke:#ddd}.b{fill:#fff}
.rss{stroke:#1668b8;fill:#1668b8}.ledger{stroke:#0f8a5f;fill:#0f8a5f}.bptt{stroke:#c2410c;fill:#c2410c}
path{fill:none!important;stroke-width:2.5}text.rss,text.ledger,text.bptt{stroke:none}.d{stroke-dasharray:6 5}
@media(prefers-color-scheme:dark){text{fill:#ddd}.g{stroke:#444}.b{fill:#161616}.rss{stroke:#64b0f4;fill:#64b0f4}
.ledger{stroke:#4fd1a1;fill:#4fd1a1}.bptt{stroke:#fb923c;fill:#fb923c}}</style>"""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
             'aria-label="Memory against context length: longzoo is flat, full BPTT grows in proportion">', style,
             f'<rect class="b" width="{width}" height="{height}"/>',
             f'<text class="t" x="{left}" y="24">Memory against context (H = {HIDDEN}, {PAIRS} pairs, log axes)</text>']
    for power, label in zip(range(20, 43, 4), ["1 MiB", "16 MiB", "256 MiB", "4 GiB", "64 GiB", "1 TiB"]):
        at = y(2.0**power)
        parts.append(f'<line class="g" x1="{left}" x2="{width - right}" y1="{at:.1f}" y2="{at:.1f}"/>'
                     f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for power, label in zip(range(3, 10), ["1 k", "10 k", "100 k", "1 M", "10 M", "100 M", "1 G"]):
        at = x(10.0**power)
        parts.append(f'<text x="{at:.1f}" y="{height - bottom + 20}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{(left + width - right) / 2}" y="{height - 12}" text-anchor="middle">tokens of context</text>')

    def line(name, points, extra=""):
        path = " L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in points)
        parts.append(f'<path class="{name}{extra}" d="M{path}"/>')

    line("bptt", [(10**p, BPTT_BYTES_PER_TOKEN * 10**p) for p in (3, 9)], " d")
    for name, key in (("rss", "rss"), ("ledger", "ledger")):
        points = [(row["context"], row[key]) for row in rows]
        line(name, points)
        line(name, [points[-1], (10**9, points[-1][1])], " d")
        for a, b in points:
            parts.append(f'<circle class="{name}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="4"><title>{a:,} tokens: {b:,} bytes</title></circle>')
    parts.append(f'<text class="bptt" x="{x(4e6):.1f}" y="{y(4e6 * BPTT_BYTES_PER_TOKEN) - 14:.1f}" text-anchor="end">full BPTT (computed)</text>')
    parts.append(f'<text class="rss" x="{x(3e6):.1f}" y="{y(rows[-1]["rss"]) - 10:.1f}">longzoo, peak RSS</text>')
    parts.append(f'<text class="ledger" x="{x(3e6):.1f}" y="{y(rows[-1]["ledger"]) + 20:.1f}">longzoo, ledger</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main():
    rows = []
    for context in CONTEXTS:
        run = measure(sys.argv[1], context)
        rows.append({"context": context, "ledger": run["memory"]["peak_total"], "rss": run["peak_rss_bytes"]})
        activations = run["memory"]["activations"]
        print(f"| {context:,} | {activations:,} | {run['memory']['peak_total']:,} | {run['peak_rss_bytes']:,} | "
              f"{BPTT_BYTES_PER_TOKEN * context:,} |", flush=True)
    with open("docs/memory.svg", "w") as file:
        file.write(draw(rows))


main()
