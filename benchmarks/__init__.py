"""Benchmarks; `python -m benchmarks` lists them.

measuring/   timing, peak memory, limits for peers, tables and JSON with their origin
kernels/     one kernel against a library, on arrays
systems/     whole jobs: against other systems, against their estimates, on harder sets
papers/      tables and figures of the papers that the recipes follow
results/     what the scripts write: the tables, and the command, date, commit and machine that made them
"""
