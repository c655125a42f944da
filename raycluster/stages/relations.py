"""knn, topk -> a learned score that a neighbor is the same identity. Recipes without a trained model skip this stage.

Its table holds one float32 a kNN pair, NaN where a recipe does not score the pair (`schemas.relations`).
"""
