"""Do the stored figures of `longzoo bench` still hold on this machine?"""
import json

from sections import kernels

TOLERANCE = 0.10
FIGURES = ("token_columns_per_second", "gflops", "fraction_of_peak")


def case(result):
    """What a line of `longzoo bench` is about: all that is no figure of the machine's."""
    return tuple(sorted((k, v) for k, v in result.items() if not isinstance(v, float) and v is not None))


def run(context, stored):
    """Measures again and prints the differences; 0 if all are within a tenth, 1 if not."""
    results = json.loads(stored.read_text()) if stored.exists() else {}
    if "kernels" not in results:
        print(f"{stored} has no kernels section: make bench BENCH=kernels")
        return 1
    before = {case(r): r for r in results["kernels"]["data"]["results"]}
    good = True
    for now in kernels.measure(context)["results"]:
        then, label = before.get(case(now)), f"{now['perturbation']}, H = {now['hidden_size']}"
        if then is None:
            good = False
            print(f"BAD  {label}: not among the stored results")
            continue
        changes = {name: now[name] / then[name] - 1 for name in FIGURES if now.get(name) and then.get(name)}
        holds = all(abs(change) <= TOLERANCE for change in changes.values())
        good &= holds
        print(("ok  " if holds else "BAD ") + f" {label}: " + ", ".join(f"{name} {100 * c:+.1f} %" for name, c in changes.items()))
    return 0 if good else 1
