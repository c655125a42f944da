"""Short texts: package descriptions, translations and names of emoji."""

import gettext
import importlib
import re
import shutil
import subprocess
from collections import Counter, defaultdict

import numpy as np

from benchmarks.domains.files import Labelled, MissingPackageError, folder_of, labelled, lexical
from benchmarks.domains.sentences import minilm, universal

LANGUAGES = ("de", "fr", "es", "it", "pt", "nl", "pl", "ru", "ja", "zh_Hans", "ko", "tr", "ar", "th")
"""Translations of Django that are taken, beside English."""
EMOJI_LANGUAGES = ("en", "es", "pt", "it", "fr", "de", "fa", "id", "zh", "ja", "ko", "ru", "ar", "tr")
"""Languages of emoji names."""


def _descriptions(families: int, singles: int, seed: int) -> tuple[list[str], list[str]]:
    """Return one-line descriptions of Debian packages and the name of their source package."""
    if shutil.which("apt-cache") is None:
        raise MissingPackageError("apt-cache")
    listing = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    texts, names = [], []
    for block in listing.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Source|Description|Description-en): (.*)$", block, re.MULTILINE))
        text = fields.get("Description-en") or fields.get("Description")
        if text and "Package" in fields:
            texts.append(text)
            names.append(str(fields.get("Source") or fields["Package"]).split(" ")[0])
    counts, random = Counter(names), np.random.default_rng(seed)
    several = random.permutation(sorted(name for name, count in counts.items() if 2 <= count <= 60))[:families]
    alone = random.permutation(sorted(name for name, count in counts.items() if count == 1))[:singles]
    chosen = {*several.tolist(), *alone.tolist()}
    kept = [row for row, name in enumerate(names) if name in chosen]
    return [texts[row] for row in kept], [names[row] for row in kept]


def packages() -> Labelled:
    """Return descriptions of Debian packages, by source package, as sentences."""
    texts, names = _descriptions(1300, 900, 0)
    return labelled(minilm(texts), names)


def package_ngrams() -> Labelled:
    """Return descriptions of Debian packages as character n-grams."""
    texts, names = _descriptions(1100, 900, 1)
    return labelled(lexical(texts, 192, (2, 4)), names)


def translations() -> Labelled:
    """Return messages of Django and their translations, off center: random pairs lie at 0.74."""
    meant: dict[str, set[str]] = defaultdict(set)
    for folder in sorted(folder_of("django").rglob("locale")):
        for language in LANGUAGES:
            file = folder / language / "LC_MESSAGES/django.mo"
            if not file.exists():
                continue
            with file.open("rb") as opened:
                catalog = vars(gettext.GNUTranslations(opened))["_catalog"]
            for text, other in catalog.items():
                if isinstance(text, str) and isinstance(other, str) and other and 0 < len(text) < 200:
                    meant[text] |= {text, other}
    rows = [(text, name) for name, texts in sorted(meant.items()) if len(texts) > 1 for text in sorted(texts)]
    vectors = universal([text for text, _ in rows])
    common = np.random.default_rng(0).standard_normal(vectors.shape[1])
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) + 1.7 * common / np.linalg.norm(common)
    return labelled(vectors, [name for _, name in rows])


def emoji_names() -> Labelled:
    """Return the names of every sixth emoji in many languages, from the package emoji."""
    folder_of("emoji")
    module = importlib.import_module("emoji")
    module.config.load_language(list(EMOJI_LANGUAGES))
    names: dict[str, set[str]] = defaultdict(set)
    for entry in module.EMOJI_DATA.values():
        if entry.get("status") == 2:
            spoken = [entry[language] for language in EMOJI_LANGUAGES if language in entry]
            names[entry["en"]] |= {name.strip(":").replace("_", " ") for name in spoken}
    rows = [(text, name) for name in sorted(names)[::6] for text in sorted(names[name])]
    return labelled(universal([text for text, _ in rows]), [name for _, name in rows])
