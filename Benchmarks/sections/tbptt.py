"""Truncated BPTT, ours beside PyTorch's."""
from harness.markdown import figure, table, with_range
from harness.summary import ratio, spread

TITLE = "Truncated BPTT beside PyTorch"
STREAMS = WINDOW = 64
SIZES = [64, 128, 256, 512]


def measure(context):
    data = context.random_tokens(4_000_000)
    rounds, limit = (2, 0.5) if context.quick else (5, 1.5)
    results = []
    for hidden in [128] if context.quick else SIZES:
        context.say(f"H = {hidden}")
        context.peer.ask("forget")
        context.peer.ask("tbptt", key="tbptt", hidden=hidden, streams=STREAMS, window=WINDOW, data=data)
        ours, theirs = [], []
        for _ in range(rounds):
            run = context.longzoo.train(
                data, "--estimator", "tbptt", "--optimizer", "adam", "--hidden-size", hidden, "--streams", STREAMS, "--window", WINDOW,
                "--context", 0, "--max-seconds", limit)
            ours.append(run["token_columns_per_second"])
            theirs.append(context.peer.rate("tbptt", "update", limit))
        results.append({"hidden_size": hidden, "longzoo": spread(ours), "pytorch": spread(theirs), "ratio": ratio(ours, theirs)})
    return {"streams": STREAMS, "window": WINDOW, "versions": context.peer.versions, "results": results}


def markdown(data):
    rows = [[r["hidden_size"], figure(r["longzoo"]), figure(r["pytorch"]), with_range(r["ratio"])] for r in data["results"]]
    return (f"Forward, backward, clipping and Adam; {data['streams']} streams, windows of {data['window']}, V = 256: tokens a second, PyTorch "
            f"{data['versions']['torch']}. PyTorch's model has an embedding of H and its 4H × H input product; longzoo's tokens enter by table "
            "look-up.\n\n" + table(["H", "longzoo", "PyTorch", "ratio"], rows))
