"""CD-RGE as its paper has it (arXiv 2505.17852), in plain PyTorch: a full-rank Rademacher direction from a seed, added in place; two
forward passes a pair, one model at a time; the update adds every direction again from its seed.

The network is the paper's LSTM: tokens embedded in E = 100, an input product, block-diagonal recurrent heads (FlashRNN's layout, here as
one batched product), a dense readout. Batch 1, states from zero, one sequence of T tokens an update.
"""
import torch

from model import bernoulli_signs, gates_to_state, token_losses


class PaperCDRGE:
    def __init__(self, vocabulary=100, embedding=100, hidden=240, heads=12, pairs=96, tokens=10, epsilon=0.01, rate=0.01, signs=bernoulli_signs,
                 seed=1337):
        self.pairs, self.epsilon, self.rate, self.heads = pairs, epsilon, rate, heads
        self.signs = signs
        self.hidden, self.size = hidden, hidden // heads
        torch.manual_seed(seed)
        self.embedding = torch.randn(vocabulary, embedding)
        self.input = torch.randn(embedding, 4 * hidden) * embedding ** -0.5
        self.recurrent = torch.randn(heads, self.size, 4 * self.size) * self.size ** -0.5
        self.bias = torch.zeros(4 * hidden)
        self.readout = torch.randn(hidden, vocabulary) * hidden ** -0.5
        self.readout_bias = torch.zeros(vocabulary)
        self.parameters = [self.embedding, self.input, self.recurrent, self.bias, self.readout, self.readout_bias]
        self.sequence = torch.randint(0, vocabulary, (tokens + 1,))
        self.generator = torch.Generator()

    @property
    def parameter_count(self):
        return sum(p.numel() for p in self.parameters)

    def probe(self, seed, scale):
        self.generator.manual_seed(seed)
        for parameter in self.parameters:
            parameter.add_(self.signs(parameter.shape, self.generator), alpha=scale)

    def loss(self):
        """Mean over the sequence. Gate columns lie head by head: [N, 4, D]."""
        inputs = torch.addmm(self.bias, self.embedding[self.sequence[:-1]], self.input)
        inputs = inputs.view(-1, self.heads, 1, 4 * self.size)
        h = c = torch.zeros(self.heads, self.size)
        states = []
        for row in inputs:
            gates = torch.baddbmm(row, h[:, None], self.recurrent)[:, 0]
            h, c = gates_to_state(gates, c)
            states.append(h.flatten())
        logits = torch.addmm(self.readout_bias, torch.stack(states), self.readout)
        return token_losses(logits, self.sequence[1:]).mean()

    @torch.no_grad()
    def update(self):
        """Mean loss of all passes."""
        seeds = torch.randint(0, 2**31 - 1, (self.pairs,)).tolist()
        slopes, total = [], 0.0
        for seed in seeds:
            self.probe(seed, self.epsilon)
            plus = self.loss().item()
            self.probe(seed, -2 * self.epsilon)
            minus = self.loss().item()
            self.probe(seed, self.epsilon)
            slopes.append((plus - minus) / (2 * self.epsilon))
            total += plus + minus
        for seed, slope in zip(seeds, slopes):
            self.probe(seed, -self.rate * slope / self.pairs)
        return total / (2 * self.pairs)
