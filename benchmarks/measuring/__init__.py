"""What benchmarks share.

script.py      the frame of a benchmark: options, --quick, tables, the JSON file
tables.py      tables as Markdown and as JSON
machine.py     the origin of a result: date, command, commit, machine
timing.py      seconds of alternating calls; peak memory
isolation.py   a call in a process of its own, with limits of time and memory
sets.py        generated and labelled sets as arrays
runs.py        jobs, their scores, and what their run folders hold
scores.py      the columns of a table from the result of `evaluate`, and the sweeps of limits
"""
