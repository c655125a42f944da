"""What `compare` sets beside each other, and how a row of its table is made.

baselines.py      clustering methods by well-kept libraries, their published settings and sweeps
rank_order.py     approximate rank order, propagation.py  CDP: kernels of ours, for no library keeps them
recipes.py        the recipes of this package, with a model where they need one
prepared.py       a labelled set as arrays on disk that every row reads
"""
