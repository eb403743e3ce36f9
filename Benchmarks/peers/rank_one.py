"""The same rank-one population as longzoo's, in plain PyTorch: shared products, and two vector operations a column."""
import torch

from model import NAMES, bit_signs, gates_to_state, token_losses
from population import Population


def token_step(h, c, inputs, table_signs, table_columns, bias, recurrent, rows, columns, epsilon):
    """One token of all columns.

    h, c [2P, H]; inputs [P, 4H] the rows of the token table, table_signs [P, 1] their signs, table_columns [P, 4H], bias [P, 4H]
    signs; recurrent [H, 4H]; rows [2P, 4H], and columns [2P, H] with ±ε in them.
    """
    gates = torch.addcmul(torch.mm(h, recurrent), (h * columns).sum(1, keepdim=True), rows)
    shift = epsilon * torch.addcmul(bias, table_signs, table_columns)
    gates = gates + torch.cat([inputs + shift, inputs - shift])
    return gates_to_state(gates, c)


def window_losses(states, targets, readout, bias, rows, columns, bias_signs):
    """Losses [2P] of the states [K, 2P, H]; readout [H, V], rows [2P, V], columns [2P, H] and bias_signs [2P, V] with ±ε in them."""
    logits = torch.matmul(states, readout)
    logits = torch.addcmul(logits + (bias + bias_signs), (states * columns).sum(-1, keepdim=True), rows)
    return token_losses(logits, targets).sum(0)


class RankOne(Population):
    def __init__(self, shape, compiled=False, **options):
        super().__init__(shape, **options)
        v, h = shape.vocabulary, shape.hidden
        self.sizes = {"table_row": v, "table_column": 4 * h, "recurrent_row": 4 * h, "recurrent_column": h,
                      "bias": 4 * h, "readout_row": v, "readout_column": h, "readout_bias": v}
        wrap = (lambda f: torch.compile(f, fullgraph=True, dynamic=False)) if compiled else lambda f: f
        self.token_step, self.window_losses = wrap(token_step), wrap(window_losses)

    def draw(self):
        total = bit_signs((self.shape.pairs, sum(self.sizes.values())))
        self.signs = dict(zip(self.sizes, total.split(list(self.sizes.values()), 1)))
        s, e = self.signs, self.shape.epsilon
        both = lambda x: torch.cat([x, x])
        paired = lambda x: torch.cat([e * x, -e * x])
        self.recurrent_signs = both(s["recurrent_row"]), paired(s["recurrent_column"])
        self.readout_signs = both(s["readout_row"]), paired(s["readout_column"]), paired(s["readout_bias"])

    @torch.no_grad()
    def step(self, tokens):
        w, s = self.weights, self.signs
        rows, columns = self.recurrent_signs
        recurrent = w["recurrent"].t()
        biased = w["table"] + w["bias"]
        h, c, states = self.h, self.c, []
        for token in tokens[:-1]:
            h, c = self.token_step(
                h, c, biased[token], s["table_row"].gather(1, token[:, None]), s["table_column"], s["bias"], recurrent,
                rows, columns, self.shape.epsilon)
            states.append(h)
        self.h, self.c = h, c
        rows, columns, bias = self.readout_signs
        return self.window_losses(
            torch.stack(states), tokens[1:].repeat(1, 2), w["readout"].t(), w["readout_bias"], rows, columns, bias)

    def estimate(self, coefficients):
        s, c = self.signs, coefficients[:, None]
        for name in ("table", "recurrent", "readout"):
            torch.mm((s[name + "_row"] * c).t(), s[name + "_column"], out=self.weights[name].grad)
        for name in ("bias", "readout_bias"):
            torch.mv(s[name].t(), coefficients, out=self.weights[name].grad)

    def dense_directions(self):
        """The directions written out, [P, d]."""
        s = self.signs
        outer = lambda name: (s[name + "_row"][:, :, None] * s[name + "_column"][:, None, :]).flatten(1)
        parts = {name: s[name] if "bias" in name else outer(name) for name in NAMES}
        return torch.cat([parts[name] for name in NAMES], 1)
