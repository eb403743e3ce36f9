#!/usr/bin/env python3
"""Writes BPTTPyTorchFixture.swift: losses and gradients of small models by PyTorch's autograd, in double.

    .venv/bin/python Tests/Fixtures/pytorch_gradient.py > Tests/EstimatorTests/BPTTPyTorchFixture.swift
    swift format --in-place Tests/EstimatorTests/BPTTPyTorchFixture.swift

Parameter i of a model is sin(i + 1)/2, token t of stream b is (7·t·t + 3·b + t) mod V. The model is nn.LSTM, with its gate
rows (i, f, g, o blocks) taken from and brought back to the order of `ModelShape`.
"""
import math

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
CASES = [(5, 4, 1, 2, 6), (6, 3, 2, 2, 7)]  # vocabulary, hidden, layers, streams, tokens


def gradient(vocabulary, hidden, layers, streams, tokens):
    sizes = [(vocabulary, 4 * hidden)]
    for layer in range(layers):
        sizes += [(4 * hidden, hidden * (1 if layer == 0 else 2)), (1, 4 * hidden)]
    sizes += [(vocabulary, hidden), (1, vocabulary)]
    tensors, offset = [], 0
    for rows, columns in sizes:
        values = [math.sin(offset + i + 1) / 2 for i in range(rows * columns)]
        tensors.append(torch.tensor(values).reshape(rows, columns).requires_grad_())
        offset += rows * columns

    blocks = torch.tensor([4 * u + g for g in range(4) for u in range(hidden)])  # nn.LSTM's row from ours
    # One-hot inputs: the columns of the first layer's input matrix are then the rows of the token table.
    lstm = nn.LSTM(vocabulary, hidden, layers)
    parameters = {}
    for layer in range(layers):
        kernel, bias = tensors[1 + 2 * layer], tensors[2 + 2 * layer]
        parameters[f"weight_ih_l{layer}"] = tensors[0].t()[blocks] if layer == 0 else kernel[blocks, :hidden]
        parameters[f"weight_hh_l{layer}"] = kernel[blocks, -hidden:]
        parameters[f"bias_ih_l{layer}"] = bias[0, blocks]
        parameters[f"bias_hh_l{layer}"] = torch.zeros(4 * hidden)
    text = torch.tensor([[(7 * t * t + 3 * b + t) % vocabulary for b in range(streams)] for t in range(tokens + 1)])
    out, _ = torch.func.functional_call(lstm, parameters, (nn.functional.one_hot(text[:-1], vocabulary).double(),))
    logits = out @ tensors[-2].t() + tensors[-1][0]
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), text[1:].flatten())
    loss.backward()
    return loss.item(), torch.cat([tensor.grad.flatten() for tensor in tensors]).tolist()


def main():
    print("// Made by Tests/Fixtures/pytorch_gradient.py; the values are PyTorch's.")
    print("let pyTorchFixtures: [PyTorchFixture] = [")
    for vocabulary, hidden, layers, streams, tokens in CASES:
        loss, values = gradient(vocabulary, hidden, layers, streams, tokens)
        print(f"PyTorchFixture(vocabulary: {vocabulary}, hidden: {hidden}, layers: {layers}, streams: {streams},")
        print(f"tokens: {tokens}, loss: {loss!r}, gradient: [")
        for i in range(0, len(values), 8):
            print(", ".join(f"{value:.9g}" for value in values[i : i + 8]) + ",")
        print("]),")
    print("]")


main()
