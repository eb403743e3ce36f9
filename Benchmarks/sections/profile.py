"""Where the time of a training run goes, by function, as perf sees it."""
import re
import shutil
import subprocess

from harness.markdown import table

TITLE = "Where the time goes"
CASES = [(64, 256, "exact"), (256, 64, "exact"), (256, 64, "zo")]  # H, pairs, readout
FREQUENCY = 997

# The first that a symbol matches.
PARTS = {
    "step: products, gates, losses": r"^lz_run_|^lz_step|Population.*(run|step)",
    "products of readout and update (OpenBLAS)": r"gemm|blas",
    "readout's gradient": r"ReadoutGradient|readout",
    "update: signs and sums": r"ZerothOrderGradient|InPlaceUpdate|^lz_(expand|sum|rank|outer|update)",
    "directions: drawing signs": r"Philox|Directions|lz_philox|lz_draw",
    "optimizer": r"^lz_(adam|sgd)|Optimizer",
    "packing weights": r"PackedWeights|PackedRows|^lz_pack",
    "averaging weights": r"WeightAverage|lz_average",
    "clean states": r"restart|resetState|lz_mean",
    "reading and decompression": r"ZSTD|LZ4|XXH|TokenFeed|TokenRing|TokenRows|ByteDecoder|IndexedTokens|SequentialTokens",
    "threads: meeting, waiting, system": r"Crew|ThreadPool|^\[k\]|futex|sched|pthread|syscall",
    "starting up": r"^_dl_|do_lookup|InitialWeights|Parameters.*initialize|check_match",
}


def part_of(symbol):
    return next((part for part, pattern in PARTS.items() if re.search(pattern, symbol)), "other")


def report(recording, environment):
    """Symbols and their shares of the samples; kernel symbols begin with [k]."""
    text = subprocess.run(
        ["perf", "report", "--input", recording, "--stdio", "--no-children", "--sort", "symbol", "--percent-limit", "0"],
        env=environment, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^\s+([0-9.]+)%\s+\[(.)\]\s+(\S+)", text, re.MULTILINE)
    samples = sum(1 for _ in subprocess.run(
        ["perf", "script", "--input", recording, "--fields", "tid"], env=environment, capture_output=True, text=True).stdout.splitlines())
    return [("[k] " + name if kind == "k" else name, float(share)) for share, kind, name in lines], samples


def readable(symbols):
    """Swift names as they were written; unchanged where there is no swift to ask."""
    if not shutil.which("swift"):
        return symbols
    text = subprocess.run(["swift", "demangle", "--simplified", "--compact"], input="\n".join(symbols), capture_output=True, text=True).stdout
    lines = text.splitlines()
    return lines if len(lines) == len(symbols) else symbols


def measure_case(context, hidden, pairs, readout, limit):
    recording = str(context.folder / "perf.data")
    data = context.random_tokens(4_000_000)
    wrapper = ["perf", "record", "--quiet", "-e", "cpu-clock", "-F", FREQUENCY, "-o", recording, "--"] if shutil.which("perf") else []
    options = ["--hidden-size", hidden, "--pairs", pairs, "--readout", readout, "--context", 0, "--max-seconds", limit]
    try:
        run = context.longzoo.train(data, *options, wrapper=wrapper)
    except RuntimeError as error:
        context.say(f"perf does not work here: {error}")
        run, wrapper = context.longzoo.train(data, *options), []
    case = {"hidden_size": hidden, "pairs": pairs, "readout": readout, "seconds": run["seconds"],
            "step_share": run["step_seconds"] / run["seconds"], "waiting_share": run["stream_wait_seconds"] / run["seconds"],
            "parts": None, "functions": None, "busy_share": None}
    if wrapper:
        symbols, samples = report(recording, context.environment)
        parts = dict.fromkeys([*PARTS, "other"], 0.0)
        for symbol, share in symbols:
            parts[part_of(symbol)] += share / 100
        top = [(symbol, share) for symbol, share in symbols if share >= 0.5]
        names = readable([symbol for symbol, _ in top])
        case |= {"parts": parts, "busy_share": samples / FREQUENCY / context.threads / run["seconds"],
                 "functions": [{"name": name[:100], "part": part_of(symbol), "share": share / 100}
                               for name, (symbol, share) in zip(names, top)]}
    return case


def measure(context):
    cases = []
    for hidden, pairs, readout in CASES[:1] if context.quick else CASES:
        context.say(f"H = {hidden}, {pairs} pairs, readout {readout}")
        cases.append(measure_case(context, hidden, pairs, readout, 1 if context.quick else 5))
    return {"window": 8, "cases": cases}


def percent(share):
    return "–" if share is None else f"{100 * share:.1f} %"


def markdown(data):
    cases = data["cases"]
    head = ["", *(f"H = {c['hidden_size']}, {c['pairs']} pairs, {c['readout']}" for c in cases)]
    rows = [["step's share of the time (`step_seconds`/`seconds`)", *(percent(c["step_share"]) for c in cases)],
            ["waiting for tokens (`stream_wait_seconds`/`seconds`)", *(percent(c["waiting_share"]) for c in cases)]]
    text = f"`longzoo train` on random bytes, windows of {data['window']}, a stream a pair, Adam."
    if any(c["parts"] is None for c in cases):
        return text + " `perf` was not there, or did not work.\n\n" + table(head, rows)
    rows.append(["processors in use", *(percent(c["busy_share"]) for c in cases)])
    for part in [*PARTS, "other"]:
        if any(c["parts"][part] >= 0.0005 for c in cases):
            rows.append([part, *(percent(c["parts"][part]) for c in cases)])
    functions = "\n".join(
        f"- H = {c['hidden_size']}, {c['readout']}: "
        + ", ".join(f"`{f['name']}` {percent(f['share'])}" for f in c["functions"][:10]) for c in cases)
    return (text + f" The lower rows are shares of the samples of `perf record -e cpu-clock`, all threads, {cases[0]['seconds']:.0f} seconds.\n\n"
            + table(head, rows) + "\n\nBy function:\n\n" + functions)
