"""The population beside three ways to run one in PyTorch."""
from harness.markdown import figure, table, with_range
from harness.peer import PeerError
from harness.summary import ratio, spread

TITLE = "Populations beside PyTorch"
PAIRS = 64
CASES = [(256, 8), (256, 64), (128, 8), (64, 8)]  # H, window
PEERS = {
    "rank_one": "the rank-one population in PyTorch",
    "rank_one_compiled": "the same through torch.compile",
    "dense_copies": "dense perturbed copies, bmm",
    "one_at_a_time": "one model at a time, nn.LSTM, seed replay",
    "one_at_a_time_bits": "the same, its signs from random bits",
}


def ours(context, hidden, window, data, seconds, readout):
    result = context.longzoo.train(
        data, "--hidden-size", hidden, "--pairs", PAIRS, "--streams", PAIRS, "--window", window, "--readout", readout,
        "--context", 0, "--max-seconds", seconds)
    return {"step": result["token_columns"] / result["step_seconds"], "update": result["token_columns"] / result["seconds"]}


def measure_case(context, hidden, window, data, rounds, seconds):
    peer, alive, failed = context.peer, [], {}
    peer.ask("forget")
    for kind in PEERS:
        try:
            peer.ask("population", key=kind, kind=kind, hidden=hidden, pairs=PAIRS, window=window, data=data)
            alive.append(kind)
        except PeerError as error:
            failed[kind] = str(error)
            context.say(f"{kind}: {error}")
    rates = {name: {"step": [], "update": []} for name in ["longzoo", "longzoo_exact", *alive]}
    for _ in range(rounds):
        for name, readout in (("longzoo", "zo"), ("longzoo_exact", "exact")):
            for what, rate in ours(context, hidden, window, data, 2 * seconds, readout).items():
                rates[name][what].append(rate)
        for kind in alive:
            for what in ("step", "update"):
                rates[kind][what].append(peer.rate(kind, what, seconds))
    return {"hidden_size": hidden, "window": window, "failed": failed,
            "rates": {name: {what: spread(r) for what, r in both.items()} for name, both in rates.items()},
            "ratios": {kind: {what: ratio(rates["longzoo"][what], rates[kind][what]) for what in ("step", "update")}
                       for kind in alive}}


def measure(context):
    data = context.random_tokens(4_000_000)
    cases = CASES[:1] if context.quick else CASES
    results = []
    for hidden, window in cases:
        context.say(f"H = {hidden}, windows of {window} tokens")
        results.append(measure_case(context, hidden, window, data, *((2, 0.4) if context.quick else (5, 0.6))))
    return {"pairs": PAIRS, "vocab_size": 256, "versions": context.peer.versions, "cases": results}


TEXT = """{pairs} pairs ({columns} columns), every pair on a stream of its own, V = {vocab}, all parameters perturbed, the same tokens, Adam on both
sides, PyTorch {torch}. Token-columns a second. A *step* is the forward passes of all ± columns over a window, directions and copies being
there; an *update* is everything: directions, both passes, estimate, Adam (ours also averages the weights). The ratio is longzoo's rate over
theirs, round by round, with its range; ours has `--readout zo` there. For one model at a time the step leaves out the perturbing, which is
most of its work.

PyTorch's sign directions: `bernoulli_`, as public code draws them, in *seed replay*; elsewhere signs unpacked from random 64-bit words by
table look-up, which we wrote for this comparison."""


def markdown(data):
    parts = [TEXT.format(pairs=data["pairs"], columns=2 * data["pairs"], vocab=data["vocab_size"], torch=data["versions"]["torch"])]
    for case in data["cases"]:
        rows = []
        for name, text in {"longzoo": "**longzoo**", "longzoo_exact": "longzoo, `--readout exact`"} .items():
            rates = case["rates"][name]
            rows.append([text, figure(rates["step"]), figure(rates["update"]), "", ""])
        for kind, text in PEERS.items():
            if kind in case["failed"]:
                rows.append([text, "failed", "failed", "", ""])
                continue
            rates, ratios = case["rates"][kind], case["ratios"][kind]
            rows.append([text, figure(rates["step"]), figure(rates["update"]), with_range(ratios["step"]), with_range(ratios["update"])])
        why = "".join(f"\n\n{PEERS[kind]} failed: {reason}" for kind, reason in case["failed"].items())
        parts.append(f"**H = {case['hidden_size']}, windows of {case['window']} tokens**\n\n" + table(
            ["", "step", "update", "ratio of steps", "ratio of updates"], rows) + why)
    return "\n\n".join(parts)
