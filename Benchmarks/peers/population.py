"""What the three ways of running a population have in common: carried states, the estimate, Adam."""
import torch

from model import NAMES, random_weights


class Population:
    """2·P perturbed models over windows of K tokens, every pair on a stream of its own.

    A window begins at the clean state of its pair, (h₊ + h₋)/2, as longzoo's does with a lifetime of one window.
    """

    def __init__(self, shape, weights=None, seed=1337, rate=0.005):
        self.shape = shape
        self.weights = weights or random_weights(shape, seed)
        for tensor in self.weights.values():
            tensor.grad = torch.zeros_like(tensor)
        self.optimizer = torch.optim.Adam(list(self.weights.values()), lr=rate, fused=True)
        self.reset()
        torch.manual_seed(seed)

    def reset(self):
        columns = 2 * self.shape.pairs
        self.h = torch.zeros(columns, self.shape.hidden)
        self.c = torch.zeros(columns, self.shape.hidden)

    def restart(self):
        for state in (self.h, self.c):
            pairs = state.view(2, self.shape.pairs, -1)
            pairs.copy_(pairs.mean(0, keepdim=True).expand_as(pairs))

    def draw(self):
        """New directions, and whatever the step needs of them."""
        raise NotImplementedError

    def step(self, tokens):
        """Losses [2P], summed over the window, of tokens [K + 1, P]."""
        raise NotImplementedError

    def estimate(self, coefficients):
        """Σ c_p z_p into the gradients; coefficients [P]."""
        raise NotImplementedError

    def coefficients(self, losses):
        plus, minus = losses.view(2, -1)
        return (plus - minus) / (2 * self.shape.epsilon * self.shape.pairs * self.shape.window)

    def update(self, tokens):
        """A whole update: directions, both passes of all pairs, the estimate, Adam. Returns the losses."""
        self.restart()
        self.draw()
        losses = self.step(tokens)
        self.estimate(self.coefficients(losses))
        self.optimizer.step()
        return losses

    def gradient(self):
        return torch.cat([self.weights[name].grad.flatten() for name in NAMES])
