#!/usr/bin/env python3
"""Truncated BPTT in PyTorch beside longzoo: the same bytes, the same hold-out, the same way to measure.

    python3 -m venv .venv && .venv/bin/pip install torch numpy
    .venv/bin/python Benchmarks/tbptt_pytorch.py TEXT --hidden-size 64 --max-seconds 60

nn.LSTM on embedded bytes, Adam, `--streams` positions read in parallel, the state carried from window to window. Held out is
the last tenth; its loss carries the state through all of it from a zero state. Prints one JSON object.
"""
import argparse
import json
import math
import resource
import time

import numpy as np
import torch
from torch import nn


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--max-seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1337)
    return parser.parse_args()


class Model(nn.Module):
    def __init__(self, vocabulary, hidden):
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, hidden)
        self.rnn = nn.LSTM(hidden, hidden)
        self.decoder = nn.Linear(hidden, vocabulary)

    def forward(self, tokens, state=None):
        out, state = self.rnn(self.encoder(tokens), state)
        return self.decoder(out), state


def evaluate(model, tokens):
    """Bits a token over all of `tokens`, state carried from zero."""
    total, state = 0.0, None
    with torch.no_grad():
        for start in range(0, len(tokens) - 1, 4096):
            piece = tokens[start : start + 4097]
            logits, state = model(piece[:-1, None], state)
            total += nn.functional.cross_entropy(logits[:, 0], piece[1:], reduction="sum").item()
    return total / (len(tokens) - 1) / math.log(2)


def main():
    a = arguments()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    data = torch.from_numpy(np.fromfile(a.text, dtype=np.uint8).astype(np.int64))
    train, held_out = data[: len(data) - len(data) // 10], data[len(data) - len(data) // 10 :]
    model = Model(256, a.hidden_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=a.lr)
    starts = torch.arange(a.streams) * (len(train) // a.streams)
    offsets = torch.arange(a.window + 1)[:, None]
    state, steps, position = None, 0, 0
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < a.max_seconds:
        for group in optimizer.param_groups:
            group["lr"] = a.lr * 0.5 * (1 + math.cos(math.pi * elapsed / a.max_seconds))
        rows = train[(starts[None, :] + position + offsets) % len(train)]
        logits, state = model(rows[:-1], state)
        state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), rows[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        position += a.window
        steps += 1
    print(json.dumps({
        "peer": f"PyTorch {torch.__version__} nn.LSTM, truncated BPTT", "hidden_size": a.hidden_size, "streams": a.streams,
        "window": a.window, "steps": steps, "tokens": steps * a.window * a.streams,
        "tokens_per_second": round(steps * a.window * a.streams / a.max_seconds), "train_bits": loss.item() / math.log(2),
        "val_bits_per_token": evaluate(model, held_out),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main()
