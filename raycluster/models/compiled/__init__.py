"""Networks on processors, computed without torch.

    tiles.py       matrix products whose bits depend on no shape.
    layers.py      normalization, GELU and softmax with an attention bias.
    tokens.py      what the predictor of the form relative reads of a row's neighbors.
    encoder.py     a pass over some rows, compiled as a whole.
    folded.py      its weights.
    relative.py    that predictor: `raycluster.models.networks.relative`, on the same weights.

Nothing here imports torch, whose import alone takes a third of a small run.
"""
