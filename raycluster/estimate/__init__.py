"""What a run would take before it runs: `--dry-run`.

machines.py    the machine at hand, and a dated list of those one can rent
laws.py        how work, memory and disk of each stage grow with the rows
probe.py       the real stages on small generated sets: seconds a unit of work on this machine
sample.py      the edges to expect, from a sample of the input's own rows
forecast.py    laws times rates on given machines, and what will not fit
report.py      the same as a table for people
"""
