"""From one clustering to a living one.

decisions: which pairs of rows are the same identity, or not; a table that survives every new clustering.
ties, conflicts, newest, rules: decisions and deciding columns as rules for a solve, and what to do where they contradict.
contraction, enforced: the rules applied to links and to communities.
layers, members: what an update changed, in storage.
inheritance, lineage: ids of new clusters from those of old ones, and the events that led from one to the other.
"""
