"""The model that all peers compute: an LSTM whose tokens enter by table look-up, and a linear readout.

Shapes: V vocabulary, H hidden size, P pairs, C = 2P columns (the first P are +ε), K tokens of a window. Gate rows are PyTorch's i, f, g, o.
"""
import json
import math
import struct
from dataclasses import dataclass

import torch

NAMES = ("table", "recurrent", "bias", "readout", "readout_bias")


@dataclass(frozen=True)
class Shape:
    vocabulary: int
    hidden: int
    pairs: int
    window: int
    epsilon: float = 0.2

    @property
    def tensors(self):
        v, h = self.vocabulary, self.hidden
        return {"table": (v, 4 * h), "recurrent": (4 * h, h), "bias": (4 * h,), "readout": (v, h), "readout_bias": (v,)}


def random_weights(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    scale = shape.hidden ** -0.5
    return {name: (torch.rand(size, generator=generator) * 2 - 1) * scale for name, size in shape.tensors.items()}


def load_weights(path):
    """What longzoo saved, from a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    tensors = {
        name: torch.frombuffer(data, dtype=torch.float32, count=(e["data_offsets"][1] - e["data_offsets"][0]) // 4,
                               offset=e["data_offsets"][0]).reshape(e["shape"]).clone()
        for name, e in header.items() if name != "__metadata__" and e["dtype"] == "F32"}
    return {
        "table": tensors["rnn.weight_ih_l0"].t().contiguous(), "recurrent": tensors["rnn.weight_hh_l0"],
        "bias": tensors["rnn.bias_ih_l0"] + tensors["rnn.bias_hh_l0"],
        "readout": tensors["decoder.weight"], "readout_bias": tensors["decoder.bias"]}


def gates_to_state(gates, c):
    """One LSTM cell behind its pre-activations [C, 4H]; c [C, H]."""
    i, f, g, o = gates.chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def token_losses(logits, targets):
    """Cross entropy without a mean: logits [..., V], targets [...]."""
    return torch.logsumexp(logits, -1) - logits.gather(-1, targets[..., None])[..., 0]


def bernoulli_signs(size, generator=None):
    """±1 with equal odds, as PyTorch draws them."""
    return torch.empty(size).bernoulli_(0.5, generator=generator).mul_(2).sub_(1)


# The signs of the eight bits of every byte.
BYTE_SIGNS = (torch.arange(256)[:, None] >> torch.arange(8) & 1).float().mul_(2).sub_(1)


def bit_signs(size, generator=None):
    """The same from random bits, eight signs a look-up: many times as fast as any distribution that PyTorch has."""
    count = math.prod(size)
    words = torch.empty((count + 63) // 64, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return BYTE_SIGNS.index_select(0, words.view(torch.uint8).int()).flatten()[:count].view(size)
