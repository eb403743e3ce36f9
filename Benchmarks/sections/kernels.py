"""longzoo bench: the population step beside the machine's multiply-add peak, in one run."""
from harness.markdown import digits, short, table

TITLE = "The step beside the machine's peak"


def measure(context):
    options = ["--rounds", 3] if context.quick else []
    return context.longzoo.run("bench", "--json", "--threads", context.threads, *options)


# Titles of the fields that a line may have; what is not named here keeps its own name.
TITLES = {"perturbation": "directions", "hidden_size": "H", "vocab_size": "V", "fraction_of_peak": "of the peak",
          "token_columns_per_second": "token-columns/s", "gflops": "GFLOP/s", "update_fraction_of_peak": "updates, of the peak",
          "update_token_columns_per_second": "updates, token-columns/s"}


def cell(name, value):
    if isinstance(value, float):
        return f"{value:.3f}" if "fraction" in name or "share" in name else short(value) if "per_second" in name else digits(value)
    return "–" if value is None else value


def markdown(data):
    names = list(dict.fromkeys(name for result in data["results"] for name in result))
    same = {n: data["results"][0].get(n) for n in names if len({str(r.get(n)) for r in data["results"]}) == 1}
    shown = [n for n in names if n not in same]
    rows = [[cell(n, r.get(n)) for n in shown] for r in data["results"]]
    said = ", ".join(f"{TITLES.get(n, n.replace('_', ' '))} {v}" for n, v in same.items())
    return (f"`longzoo bench`: the multiply-add peak is {digits(data['peak_gflops'])} GFLOP/s on {data['threads']} threads "
            f"({data.get('instructions', 'unknown instructions')}); medians of {data.get('rounds', '?')} rounds. In all lines: {said}.\n\n"
            + table([TITLES.get(n, n.replace("_", " ")) for n in shown], rows))
