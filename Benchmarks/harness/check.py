"""Do the peers compute what longzoo computes, and what they claim to?"""

# Float sums over some hundred terms, and losses that are sums over a window.
TOLERANCE = 1e-5


def run(context):
    """Prints what was compared; 0 if all agrees, 1 if not."""
    data, good = context.random_tokens(100_000), True

    def compare(what, difference):
        nonlocal good
        good &= difference <= TOLERANCE
        print(f"{'ok  ' if difference <= TOLERANCE else 'BAD '} {what}: off by {difference:.1e}")

    for hidden in (20, 64):
        folder = context.folder / f"check-{hidden}"
        context.longzoo.train(data, "--hidden-size", hidden, "--pairs", 16, "--max-steps", 50, keep=folder)
        weights = folder / "model.safetensors"
        reply = context.peer.ask("check", weights=weights, data=data, tokens=800)
        ours = context.longzoo.run("eval", folder, data, "--max-tokens", reply["tokens"], "--json")["loss_nats"]
        for name, loss in reply["clean_loss_nats"].items():
            compare(f"H = {hidden}, {name} with ε = 0 and longzoo eval, loss over {reply['tokens']} tokens", abs(loss / ours - 1))
        for name in ("rank_one", "dense_copies", "one_at_a_time"):
            compare(f"H = {hidden}, {name} and nn.LSTM with θ ± εz written out, loss of every column", reply[name + "_losses"])
            compare(f"H = {hidden}, {name}'s estimate and Σ c·z", reply[name + "_estimate"])
    return 0 if good else 1
