"""Cost and memory of a token, whatever the length."""
import json

from harness.markdown import mebibytes, seconds, short, table
from harness.summary import spread

TITLE = "A token's cost, whatever the length"
CONTEXTS = [10**3, 10**4, 10**5, 10**6, 10**7, 10**8]


def by_context(context, rounds, limit):
    """The same training time at every context, in turn."""
    data = context.random_tokens(4_000_000)
    runs = {length: [] for length in CONTEXTS}
    for index in range(rounds):
        for length in CONTEXTS if index % 2 == 0 else reversed(CONTEXTS):
            runs[length].append(context.longzoo.train(data, "--context", length, "--max-seconds", limit))
    return [{"context": length, "nanoseconds_per_token_column": spread([1e9 / r["token_columns_per_second"] for r in results]),
             "activation_bytes": results[0]["memory"]["activations"], "ledger_bytes": results[0]["memory"]["peak_total"],
             "peak_rss_bytes": max(r["peak_rss_bytes"] for r in results)} for length, results in runs.items()]


def by_position(context, tokens):
    """One stream of so many tokens in one context, one small model: the cost of a token by its position."""
    folder = context.folder / "length"
    run = context.longzoo.train(
        context.random_tokens(1_000_000, 16), "--vocab-size", 16, "--hidden-size", 8, "--pairs", 16, "--streams", 1, "--window", 250,
        "--context", tokens, "--max-tokens", tokens, "--log-interval", 100, "--save-interval", "never", keep=folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = [{"tokens": 0, "wall_s": 0.0, "rss_bytes": lines[0]["rss_bytes"]}] + [l for l in lines if l["tokens"]]
    decades, start = [], 0
    for end in [10**e for e in range(5, 9) if 10**e <= tokens]:
        first, last = (max((l for l in lines if l["tokens"] <= mark), key=lambda l: l["tokens"]) for mark in (start, end))
        decades.append({"from": first["tokens"], "to": last["tokens"], "rss_bytes": last["rss_bytes"],
                        "nanoseconds_per_token": 1e9 * (last["wall_s"] - first["wall_s"]) / (last["tokens"] - first["tokens"])})
        start = end
    return {"tokens": run["tokens"], "seconds": run["seconds"], "peak_rss_bytes": run["peak_rss_bytes"], "decades": decades}


def measure(context):
    context.say("by context")
    contexts = by_context(context, *((2, 0.4) if context.quick else (7, 1)))
    tokens = 10**6 if context.quick else 10**8
    context.say(f"one stream of {tokens:,} tokens")
    return {"contexts": contexts, "stream": by_position(context, tokens)}


def away(values):
    """Largest distance from the median of all, as a share of it."""
    middle = spread(values)["median"]
    return max(abs(v / middle - 1) for v in values)


def markdown(data):
    medians = [c["nanoseconds_per_token_column"]["median"] for c in data["contexts"]]
    spread_text = lambda s: f"{s['median']:.1f} ({s['least']:.1f}–{s['most']:.1f})"
    rows = [[short(c["context"]), spread_text(c["nanoseconds_per_token_column"]), f"{c['activation_bytes']:,}", f"{c['ledger_bytes']:,}",
             mebibytes(c["peak_rss_bytes"])] for c in data["contexts"]]
    stream = data["stream"]
    decades = [[f"{short(d['from'])} to {short(d['to'])}", f"{d['nanoseconds_per_token']:.1f}", mebibytes(d["rss_bytes"])]
               for d in stream["decades"]]
    return (
        "`longzoo train --context T` with all defaults (but a low rate, for the bytes are random), the same training time at every T, in turn; nanoseconds a token-column, medians and ranges. "
        f"No median is further than {100 * away(medians):.1f} % from the median of all.\n\n"
        + table(["T", "ns a token-column", "activations, bytes", "ledger, bytes", "peak RSS"], rows)
        + f"\n\nOne stream read to its end in one context (H = 8, V = 16, 16 pairs, windows of 250): {stream['tokens']:,} tokens in "
        f"{seconds(stream['seconds'])}, peak RSS {mebibytes(stream['peak_rss_bytes'])}. By position in the stream:\n\n"
        + table(["tokens", "ns a token", "RSS at its end"], decades))
