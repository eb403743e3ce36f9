"""Dense perturbed copies of the whole model, all columns at once through batched matrix products."""
import math

import torch

from model import NAMES, bit_signs, gates_to_state, token_losses
from population import Population


class DenseCopies(Population):
    """Full-rank signs. Every column owns a copy of all weights, [C, d]; the readout of a window is one batched product."""

    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        sizes = {name: math.prod(size) for name, size in shape.tensors.items()}
        self.copies = torch.empty(2 * shape.pairs, sum(sizes.values()))
        self.parts, offset = {}, 0
        for name in NAMES:
            part = self.copies[:, offset : offset + sizes[name]]
            self.parts[name] = part.view(2 * shape.pairs, *shape.tensors[name])
            offset += sizes[name]
        self.columns = torch.arange(2 * shape.pairs)

    def draw(self):
        self.take([bit_signs((self.copies.shape[1],)) for _ in range(self.shape.pairs)])

    def take(self, directions):
        """Copies for these directions, [d] each."""
        base = torch.cat([self.weights[name].flatten() for name in NAMES])
        for pair, z in enumerate(directions):
            torch.add(base, z, alpha=self.shape.epsilon, out=self.copies[pair])
            torch.add(base, z, alpha=-self.shape.epsilon, out=self.copies[self.shape.pairs + pair])

    @torch.no_grad()
    def step(self, tokens):
        tokens = tokens.repeat(1, 2)
        recurrent = self.parts["recurrent"].transpose(1, 2)
        h, c, states = self.h, self.c, []
        for token in tokens[:-1]:
            inputs = self.parts["table"][self.columns, token] + self.parts["bias"]
            gates = torch.baddbmm(inputs[:, None], h[:, None], recurrent)[:, 0]
            h, c = gates_to_state(gates, c)
            states.append(h)
        self.h, self.c = h, c
        logits = torch.baddbmm(
            self.parts["readout_bias"][:, None], torch.stack(states, 1), self.parts["readout"].transpose(1, 2))
        return token_losses(logits, tokens[1:].t()).sum(1)

    def estimate(self, coefficients):
        """θ₊ − θ₋ = 2εz: the copies themselves give the sum."""
        weights = torch.cat([coefficients, -coefficients]) / (2 * self.shape.epsilon)
        total, offset = torch.mv(self.copies.t(), weights), 0
        for name in NAMES:
            grad = self.weights[name].grad
            grad.copy_(total[offset : offset + grad.numel()].view_as(grad))
            offset += grad.numel()
