"""The verbs of the console command, one module per verb.

A verb's module is imported when it is called.
"""

import importlib

from raycluster.commands.verb import Verb

VERBS = {
    "demo": "generate faces, cluster them and show what is found, in a minute",
    "cluster": "find identities among embeddings",
    "update": "take new rows, deletions and decisions into a finished run",
    "merge": "decide that two clusters are one identity",
    "split": "decide that rows of a cluster are another identity",
    "undo": "take back the latest merge or split",
    "confirm": "confirm clusters: their ids win, and no two of them merge by themselves",
    "evaluate": "compare a finished run with true identities",
    "review": "answer doubtful cases on a local page, and put the answers in force",
    "audit": "list labels of a labelled set that are likely wrong",
    "report": "one page that shows what a run found: charts, clusters with pictures or texts, what to review",
    "export": "join labels to the columns of an input, or make one folder per identity",
    "diff": "what changed between two runs: same, grown, split, merged, new, gone",
    "estimate": "say what a run would take and what will not fit, without running it",
    "train": "train the networks of a recipe on labelled sets",
    "generate": "write a generated set of identities",
    "import-features": "convert features, labels and neighbor lists of research formats",
    "recipes": "list the recipes, or show one",
    "clean": "remove what a finished run no longer needs",
    "completion": "print the completion script of a shell",
}
"""Name and summary of every verb, in the order of the help screen."""


def load(name: str) -> Verb:
    """Return a verb by its name."""
    verb: Verb = importlib.import_module(f"raycluster.commands.{name.replace('-', '_')}").VERB
    return verb
