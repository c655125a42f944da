"""What a run takes before it runs: `--dry-run`.

`forecast` multiplies what stages declare (`costs`) by the `rates` of a `probe`: the run's own pipeline on generated sets.
`machines` has what there is to run it on, `verdict` what will not fit, `report` the table for people. No module here has
the name of a stage: what differs between stages is declared by `Stage.cost` and `Stage.writes`.
"""
