"""Rounds to figures."""
from statistics import median


def spread(values):
    """Median and range of what the rounds gave."""
    values = [v for v in values if v is not None]
    return {"median": median(values), "least": min(values), "most": max(values), "rounds": len(values)} if values else None


def ratio(ours, theirs):
    """Of the rounds' pairs, each of which ran close together."""
    return spread([a / b for a, b in zip(ours, theirs)])
