"""longzoo train, end to end, between two measurements of the multiply-add peak."""
from harness.markdown import digits, short, table
from harness.summary import spread

TITLE = "Training end to end beside the machine's peak"
# H, pairs, window, readout.
CASES = [(h, 256, 256, "zo") for h in (64, 128, 256, 512)] + [(h, 256, 8, "exact") for h in (64, 128, 256, 512)] + [
    (256, 64, 8, "zo"), (256, 64, 8, "exact")]


def peak(context):
    """GFLOP/s of multiply-adds, of a bench that does little else."""
    options = ["--hidden-size", 64, "--pairs", 64, "--perturbation", "rank1", "--window", 8, "--rounds", 3]
    return context.longzoo.run("bench", "--json", "--threads", context.threads, *options)["peak_gflops"]


def measure(context):
    text = context.random_tokens(4_000_000)
    rounds, limit = (1, 0.5) if context.quick else (5, 5)
    rates, fractions = [[] for _ in CASES], [[] for _ in CASES]
    peaks = []
    for _ in range(rounds):
        for index, (hidden, pairs, window, readout) in enumerate(CASES):
            before = peak(context)
            result = context.longzoo.train(text, "--hidden-size", hidden, "--pairs", pairs, "--window", window, "--readout", readout,
                                           "--max-seconds", limit)
            # Other load lowers a peak and never raises it.
            peaks.append(max(before, peak(context)))
            rates[index].append(result["token_columns_per_second"])
            fractions[index].append(result["gflops"] / peaks[-1])
    return {"peak_gflops": spread(peaks), "rounds": rounds, "cases": [
        {"hidden_size": h, "pairs": p, "window": w, "readout": r, "rate": spread(rates[i]), "fraction": spread(fractions[i])}
        for i, (h, p, w, r) in enumerate(CASES)]}


def markdown(data):
    rows = [[c["hidden_size"], c["pairs"], c["window"], c["readout"], short(c["rate"]["median"]),
             f"{c['fraction']['median']:.3f} ({c['fraction']['least']:.3f}–{c['fraction']['most']:.3f})"] for c in data["cases"]]
    return (f"`longzoo train` for five seconds on random bytes (V = 256), everything but evaluation and checkpoints in it, beside the higher of the peaks "
            f"just before and after it, {digits(data['peak_gflops']['median'])} GFLOP/s in the median; {data['rounds']} rounds. Random bytes touch more rows of the token "
            "table than text does.\n\n"
            + table(["H", "pairs", "window", "readout", "token-columns/s", "of the peak: median (range)"], rows))
