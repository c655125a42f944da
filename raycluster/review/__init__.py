"""What a person should see, decide and correct: report and review queues.

opened: a finished run, or an update of one, as arrays.
pairs: the pairs of rows that neighbor lists name.
between: what these lists hold between two groups of rows.
calibration: features to a probability, by weights that were fitted on generated sets.
audit: a labelled set against its clusters, and labels that are wrong.
merge_queue, split_queue, row_queue, duplicate_queue: the most doubtful first.
queues: all four, written into the run folder.
session, server: answers that are saved, and the local page they come from.
estimates: how good a clustering is, from a few reviewed clusters.
"""
