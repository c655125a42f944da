"""Where a model goes: an empty folder, or one of a training of ours."""

import re
from collections.abc import Sequence

from raycluster.errors import ConfigError
from raycluster.models.card import CARD
from raycluster.storage.object_store import Store
from raycluster.storage.read_places import is_read

OWN = re.compile(r"(work/[0-9a-f]{12}/.*|(filter|predictor)\.safetensors|\.visible-[0-9a-f]{32})(\.[0-9a-f]{32}\.tmp)?")
"""Names of what a training writes before the card, which it writes last."""


def require_own(output: str, inputs: Sequence[str]) -> None:
    """Refuse a folder that a training would change though it is not its own.

    Parameters
    ----------
    output
        The model folder.
    inputs
        Labelled sets.

    Raises
    ------
    ConfigError
        The folder is a file, holds something else, or is where an input is read.
    """
    for url in inputs:
        if is_read(output, url):
            raise ConfigError(f"The model folder {output} lies in the input {url}, which it would change.")
    store = Store(output)
    if store.is_file():
        raise ConfigError(f"The output {store.url} is a file; choose a folder.")
    names = store.files()
    foreign = [] if CARD in names else [name for name in names if not OWN.fullmatch(name)]
    if foreign:
        raise ConfigError(
            f"The folder {store.url} is not empty and holds no model (it has {foreign[0]}); choose an empty --output."
        )
