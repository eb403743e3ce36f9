"""Updates at the paper's sizes, beside its own algorithm."""
from harness.markdown import seconds, table, with_range
from harness.summary import ratio, spread

TITLE = "CD-RGE at the paper's sizes"
PAIRS, TOKENS = 96, 10
SIZES = [("tiny", 240, 12, 5.7), ("small", 1600, 32, 6.0)]  # name, H, heads, seconds on one A40 by the paper's repository


def ours(context, data, hidden, heads, directions, limit):
    result = context.longzoo.train(
        data, "--vocab-size", 100, "--hidden-size", hidden, "--heads", heads, "--pairs", PAIRS, "--streams", 1, "--context", TOKENS,
        "--window", "context", "--perturbation", directions, "--readout", "zo", "--optimizer", "sgd", "--momentum", 0,
        "--max-seconds", limit)
    return result["seconds"] / result["steps"], result


def measure_size(context, name, hidden, heads, published, data, rounds, limit):
    peer = context.peer
    peer.ask("forget")
    for key in ("bernoulli", "bits"):
        made = peer.ask("paper", key=key, hidden=hidden, heads=heads, pairs=PAIRS, tokens=TOKENS, fast_signs=key == "bits")
    times = {key: [] for key in ("bernoulli", "bits", "rademacher", "rank1")}
    for _ in range(rounds):
        for key in ("bernoulli", "bits"):
            times[key].append(1 / peer.rate(key, "update", limit))
        for directions in ("rademacher", "rank1"):
            taken, result = ours(context, data, hidden, heads, directions, limit)
            times[directions].append(taken)
    return {"name": name, "hidden_size": hidden, "heads": heads, "parameters": result["parameters"],
            "peer_parameters": made["parameters"], "published_seconds_one_a40": published,
            "seconds": {key: spread(t) for key, t in times.items()},
            "ratios": {directions: {key: ratio(times[key], times[directions]) for key in ("bernoulli", "bits")}
                       for directions in ("rademacher", "rank1")}}


def measure(context):
    data = context.random_tokens(100_000, 100)
    sizes = SIZES[:1] if context.quick else SIZES
    results = []
    for size in sizes:
        context.say(f"{size[0]}: H = {size[1]}, {size[2]} heads")
        results.append(measure_size(context, *size, data, *((2, 0.5) if context.quick else (5, 1))))
    return {"pairs": PAIRS, "tokens": TOKENS, "versions": context.peer.versions, "sizes": results}


TEXT = """{pairs} pairs, batch 1, {tokens} tokens an update, V = 100, plain SGD: seconds an update. Theirs is the paper's algorithm (arXiv 2505.17852),
written by us in plain PyTorch {torch} for this machine's cores: full-rank Rademacher directions from seeds, added in place, two forward passes a
pair, one model at a time, every direction drawn four times. *Fast signs* is the same with signs unpacked from random words in place of
`bernoulli_`. Its network embeds tokens in 100 dimensions; ours has the product of embedding and input matrix as one table. Ours reads a new
sequence every update, theirs the same one. The ratio is theirs over ours, with its range over the rounds."""


def markdown(data):
    rows = []
    for size in data["sizes"]:
        label = f"{size['name']}: H = {size['hidden_size']}, {size['heads']} heads"
        for key, text in (("bernoulli", "the paper's algorithm"), ("bits", "the same, fast signs")):
            rows.append([label, text, f"{size['peer_parameters']:,}", seconds(size["seconds"][key]["median"]), "", ""])
        for key, text in (("rademacher", "longzoo, `--perturbation rademacher`"), ("rank1", "longzoo, `--perturbation rank1`")):
            ratios = size["ratios"][key]
            rows.append([label, text, f"{size['parameters']:,}", seconds(size["seconds"][key]["median"]),
                         with_range(ratios["bernoulli"]), with_range(ratios["bits"])])
    published = "; ".join(f"{s['name']} {s['published_seconds_one_a40']} s" for s in data["sizes"])
    return (TEXT.format(pairs=data["pairs"], tokens=data["tokens"], torch=data["versions"]["torch"]) + "\n\n"
            + table(["size", "", "parameters", "an update", "× the paper's", "× with fast signs"], rows)
            + f"\n\nThe paper's own figures, one A40, one model at a time: {published}.")
