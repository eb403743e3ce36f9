"""Do the peers compute what longzoo does, and what they claim?"""
import numpy as np
import torch

from dense_copies import DenseCopies
from model import NAMES, Shape, load_weights
from one_at_a_time import OneAtATime
from rank_one import RankOne


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def explicit_losses(shape, weights, directions, tokens):
    """Losses [2P] of an nn.LSTM that is given θ ± εz outright, model after model."""
    losses = []
    for sign in (1, -1):
        for pair, z in enumerate(directions):
            moved, offset = {}, 0
            for name in NAMES:
                count = weights[name].numel()
                part = z[offset : offset + count].view_as(weights[name])
                moved[name] = weights[name] + sign * shape.epsilon * part
                offset += count
            one = OneAtATime(shape, weights=moved)
            losses.append(one.column_loss(0, tokens[:, pair]))
    return torch.stack(losses).detach()


def clean_loss(population, tokens, windows):
    """Mean loss in nats of unperturbed columns over `windows` windows from a zero state, the same tokens for every pair."""
    k, total = population.shape.window, 0.0
    for index in range(windows):
        rows = tokens[index * k : index * k + k + 1, None].repeat(1, population.shape.pairs)
        total += population.step(rows).double().sum().item()
    return total / (2 * population.shape.pairs * k * windows)


def run(request):
    """Compares on the weights of a file. All differences are relative to the largest value compared with."""
    weights = load_weights(request["weights"])
    v, h = weights["readout"].shape
    data = torch.from_numpy(np.fromfile(request["data"], dtype=np.uint8).astype(np.int64))
    copy = lambda: {name: tensor.clone() for name, tensor in weights.items()}
    pairs, k, windows = 3, 16, request["tokens"] // 16

    unperturbed = Shape(v, h, pairs, k, epsilon=0.0)
    clean = {}
    for name, kind in (("rank_one", RankOne), ("dense_copies", DenseCopies), ("one_at_a_time", OneAtATime)):
        population = kind(unperturbed, weights=copy())
        population.draw()
        clean[name] = clean_loss(population, data, windows)

    shape = Shape(v, h, pairs, k, epsilon=0.05)
    tokens = data[: pairs * (k + 1)].view(pairs, k + 1).t().contiguous()
    rank_one = RankOne(shape, weights=copy())
    rank_one.draw()
    directions = rank_one.dense_directions()
    losses = rank_one.step(tokens)
    expected = explicit_losses(shape, copy(), directions, tokens)
    dense = DenseCopies(shape, weights=copy())
    dense.take(directions)
    coefficients = rank_one.coefficients(losses)
    rank_one.estimate(coefficients)
    dense_losses = dense.step(tokens)
    dense.estimate(coefficients)
    estimate = coefficients @ directions

    one = OneAtATime(shape, weights=copy())
    one_losses = one.update(tokens)
    drawn = torch.stack([torch.cat([
        (z.t() if p is one.parameters["table"] else z).flatten() for p, z in one.direction(pair)]) for pair in range(pairs)])
    one_expected = explicit_losses(shape, copy(), drawn, tokens)
    return {
        "clean_loss_nats": clean, "tokens": windows * k,
        "rank_one_losses": relative(losses, expected), "rank_one_estimate": relative(rank_one.gradient(), estimate),
        "dense_copies_losses": relative(dense_losses, expected), "dense_copies_estimate": relative(dense.gradient(), estimate),
        "one_at_a_time_losses": relative(one_losses, one_expected),
        "one_at_a_time_estimate": relative(one.gradient(), one.coefficients(one_expected) @ drawn)}
