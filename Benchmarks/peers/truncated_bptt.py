#!/usr/bin/env python3
"""Truncated BPTT in PyTorch beside longzoo: the same bytes, the same hold-out, the same way to measure.

    python3 -m venv .venv && .venv/bin/pip install torch numpy
    .venv/bin/python Benchmarks/peers/truncated_bptt.py TEXT --hidden-size 64 --max-seconds 60

nn.LSTM on embedded bytes, Adam (with --weight-decay AdamW), `--streams` positions read in parallel, the state carried from window to window. With
`--matrix-lr F` torch.optim.Muon has the LSTM's two matrices at that rate, and AdamW the rest. Held out is the last tenth; its loss carries the state
through all of it from a zero state. Prints one JSON object.
"""
import argparse
import json
import math
import resource
import time

import numpy as np
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, vocabulary, hidden):
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, hidden)
        self.rnn = nn.LSTM(hidden, hidden)
        self.decoder = nn.Linear(hidden, vocabulary)

    def forward(self, tokens, state=None):
        out, state = self.rnn(self.encoder(tokens), state)
        return self.decoder(out), state


def optimizers(model, rate, decay, matrix_rate):
    """Optimizers and their rates."""
    if matrix_rate is None:
        return [(torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay), rate)]
    matrices = [model.rnn.weight_ih_l0, model.rnn.weight_hh_l0]
    rest = [p for p in model.parameters() if all(p is not m for m in matrices)]
    return [(torch.optim.AdamW(rest, lr=rate, weight_decay=decay), rate), (torch.optim.Muon(matrices, lr=matrix_rate, weight_decay=decay), matrix_rate)]


class TruncatedBPTT:
    def __init__(self, tokens, vocabulary=256, hidden=64, streams=64, window=64, rate=5e-3, seed=1337, decay=0.0, matrix_rate=None):
        torch.manual_seed(seed)
        self.tokens, self.window, self.streams = tokens, window, streams
        self.model = Model(vocabulary, hidden)
        self.optimizers = optimizers(self.model, rate, decay, matrix_rate)
        self.starts = torch.arange(streams) * (len(tokens) // streams)
        self.offsets = torch.arange(window + 1)[:, None]
        self.state, self.position = None, 0

    def update(self):
        """Forward, backward and Adam over one window of every stream. Returns the loss in nats."""
        rows = self.tokens[(self.starts[None, :] + self.position + self.offsets) % len(self.tokens)]
        logits, state = self.model(rows[:-1], self.state)
        self.state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), rows[1:].flatten())
        self.model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer, _ in self.optimizers:
            optimizer.step()
        self.position += self.window
        return loss.item()


def read(path):
    return torch.from_numpy(np.fromfile(path, dtype=np.uint8).astype(np.int64))


def evaluate(model, tokens):
    """Bits a token over all of `tokens`, state carried from zero."""
    total, state = 0.0, None
    with torch.no_grad():
        for start in range(0, len(tokens) - 1, 4096):
            piece = tokens[start : start + 4097]
            logits, state = model(piece[:-1, None], state)
            total += nn.functional.cross_entropy(logits[:, 0], piece[1:], reduction="sum").item()
    return total / (len(tokens) - 1) / math.log(2)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text")
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--matrix-lr", type=float)
    parser.add_argument("--weight-decay", type=float, default=0)
    parser.add_argument("--max-seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1337)
    return parser.parse_args()


def main():
    a = arguments()
    torch.set_num_threads(a.threads)
    data = read(a.text)
    split = len(data) - len(data) // 10
    run = TruncatedBPTT(data[:split], 256, a.hidden_size, a.streams, a.window, a.lr, a.seed, a.weight_decay, a.matrix_lr)
    steps, begin = 0, time.monotonic()
    while (elapsed := time.monotonic() - begin) < a.max_seconds:
        for optimizer, rate in run.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * elapsed / a.max_seconds))
        loss = run.update()
        steps += 1
    tokens = steps * a.window * a.streams
    print(json.dumps({
        "peer": f"PyTorch {torch.__version__} nn.LSTM, truncated BPTT", "hidden_size": a.hidden_size, "streams": a.streams,
        "window": a.window, "steps": steps, "tokens": tokens, "tokens_per_second": round(tokens / a.max_seconds),
        "train_bits": loss / math.log(2), "val_bits_per_token": evaluate(run.model, data[split:]),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
