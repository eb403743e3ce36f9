"""Does reading ever hold up the step?"""
import subprocess

from harness.markdown import short, table
from harness.summary import spread

TITLE = "What reading costs"
HIDDEN, PAIRS = 64, 64
# Name, whether it is the compressed corpus, whether it comes through a pipe, streams.
CASES = [("plain file", False, False, 64), ("zstd file", True, False, 64), ("plain file", False, False, 1), ("zstd file", True, False, 1),
         ("plain, from a pipe", False, True, 1), ("zstd, from a pipe", True, True, 1)]


def run_case(context, path, piped, streams, limit):
    options = ["--hidden-size", HIDDEN, "--pairs", PAIRS, "--streams", streams, "--context", 0, "--max-seconds", limit]
    if not piped:
        return context.longzoo.train(path, *options)
    producer = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
    try:
        return context.longzoo.train("-", *options, stdin=producer.stdout)
    finally:
        producer.stdout.close()
        producer.wait()


def measure(context):
    plain = context.random_tokens(4_000_000)
    rounds, limit = (2, 0.5) if context.quick else (5, 1)
    runs = [[] for _ in CASES]
    for _ in range(rounds):
        for index, (_, compressed, piped, streams) in enumerate(CASES):
            runs[index].append(run_case(context, context.corpus if compressed else plain, piped, streams, limit))
    share = lambda results, key: spread([r[key] / r["seconds"] for r in results])
    return {"hidden_size": HIDDEN, "pairs": PAIRS, "cases": [
        {"source": name, "streams": streams, "waiting": share(results, "stream_wait_seconds"), "step": share(results, "step_seconds"),
         "rate": spread([r["token_columns_per_second"] for r in results])}
        for (name, _, _, streams), results in zip(CASES, runs)]}


def markdown(data):
    percent = lambda s, n=1: f"{100 * s['median']:.{n}f} % ({100 * s['least']:.{n}f}–{100 * s['most']:.{n}f})"
    rows = [[c["source"], c["streams"], percent(c["waiting"], 2), percent(c["step"]), short(c["rate"]["median"])] for c in data["cases"]]
    return (f"`longzoo train`, H = {data['hidden_size']}, {data['pairs']} pairs, windows of 8: shares of the run's time, as `--json` reports them, with their "
            "range over the rounds. *Waiting* is for tokens that were not there when the step wanted them; what is neither step nor waiting is "
            "the update. The plain bytes are random, the zstd file is the bundled corpus; one process more, `cat`, shares the processors where "
            "there is a pipe.\n\n"
            + table(["source", "streams", "waiting", "step", "token-columns/s"], rows))
