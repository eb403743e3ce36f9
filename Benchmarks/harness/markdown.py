"""Figures as people read them."""


def short(value):
    """Three digits that count, k and M above a thousand."""
    if value is None:
        return "–"
    for limit, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return digits(value / limit) + suffix
    return digits(value)


def digits(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def figure(spread):
    return "–" if spread is None else short(spread["median"])


def with_range(spread):
    return "–" if spread is None else f"{digits(spread['median'])} ({digits(spread['least'])}–{digits(spread['most'])})"


def seconds(value):
    if value is None:
        return "–"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def mebibytes(count):
    return f"{count / 2**20:.1f} MiB"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])
