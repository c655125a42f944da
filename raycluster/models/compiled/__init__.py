"""Networks on processors, computed without torch.

    layers.py      normalization, GELU and softmax with an attention bias, each one pass over memory.
    tokens.py      what the predictor of the form relative reads of a row's neighbors.
    relative.py    that predictor: `raycluster.models.networks.relative`, on the same weights.

Matrix products are numpy's. So nothing here imports torch, whose import alone takes a third of a small run.
"""
