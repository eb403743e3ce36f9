"""One perturbed model at a time through nn.LSTM, its directions drawn again from their seeds."""
import torch
from torch import nn

from model import NAMES, bernoulli_signs, token_losses
from population import Population


class OneAtATime(Population):
    """Full-rank signs. θ + εz, forward, θ − εz, forward, θ: the way back also adds the pair's share to the gradient, so that a
    direction is drawn three times. `step` is the forward passes alone, without the perturbing between them."""

    def __init__(self, shape, signs=bernoulli_signs, **options):
        super().__init__(shape, **options)
        self.signs = signs
        v, h = shape.vocabulary, shape.hidden
        self.lstm = nn.LSTM(v, h)
        with torch.no_grad():
            self.lstm.weight_ih_l0.copy_(self.weights["table"].t())
            self.lstm.weight_hh_l0.copy_(self.weights["recurrent"])
            self.lstm.bias_ih_l0.copy_(self.weights["bias"])
            self.lstm.bias_hh_l0.zero_()
        self.parameters = {
            "table": self.lstm.weight_ih_l0, "recurrent": self.lstm.weight_hh_l0, "bias": self.lstm.bias_ih_l0,
            "readout": nn.Parameter(self.weights["readout"]), "readout_bias": nn.Parameter(self.weights["readout_bias"])}
        for parameter in self.parameters.values():
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer = torch.optim.Adam(list(self.parameters.values()), lr=0.005, fused=True)
        self.one_hot = torch.eye(v)
        self.generator = torch.Generator()
        self.seeds = [0] * shape.pairs

    def draw(self):
        self.seeds = torch.randint(0, 2**31 - 1, (self.shape.pairs,)).tolist()

    def direction(self, pair):
        """The signs of a pair, tensor after tensor."""
        self.generator.manual_seed(self.seeds[pair])
        for name in NAMES:
            yield self.parameters[name], self.signs(self.parameters[name].shape, self.generator)

    def move(self, pair, scale):
        for parameter, z in self.direction(pair):
            parameter.add_(z, alpha=scale)

    def column_loss(self, column, tokens):
        """Of tokens [K + 1], moving the column's state on."""
        out, (h, c) = self.lstm(
            self.one_hot[tokens[:-1]], (self.h[column : column + 1], self.c[column : column + 1]))
        self.h[column], self.c[column] = h[0], c[0]
        logits = torch.addmm(self.parameters["readout_bias"], out, self.parameters["readout"].t())
        return token_losses(logits, tokens[1:]).sum()

    @torch.no_grad()
    def step(self, tokens):
        return torch.stack([
            self.column_loss(column, tokens[:, column % self.shape.pairs]) for column in range(2 * self.shape.pairs)])

    @torch.no_grad()
    def update(self, tokens):
        shape, losses = self.shape, torch.zeros(2, self.shape.pairs)
        self.restart()
        self.draw()
        for parameter in self.parameters.values():
            parameter.grad.zero_()
        for pair in range(shape.pairs):
            self.move(pair, shape.epsilon)
            losses[0, pair] = self.column_loss(pair, tokens[:, pair])
            self.move(pair, -2 * shape.epsilon)
            losses[1, pair] = self.column_loss(shape.pairs + pair, tokens[:, pair])
            slope = (losses[0, pair] - losses[1, pair]) / (2 * shape.epsilon * shape.pairs * shape.window)
            for parameter, z in self.direction(pair):
                parameter.add_(z, alpha=shape.epsilon)
                parameter.grad.add_(z, alpha=slope.item())
        self.optimizer.step()
        return losses.flatten()

    def gradient(self):
        grads = {name: p.grad for name, p in self.parameters.items()}
        grads["table"] = grads["table"].t()
        return torch.cat([grads[name].flatten() for name in NAMES])
