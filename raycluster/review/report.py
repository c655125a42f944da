"""RUN/report.html: one file that shows what a run found, without a network.

A Content-Security-Policy allows the page's own scripts and styles by their SHA-256 and pictures inside the page, and nothing
else. Charts hold aggregates. Rows appear by id on cards, at most 8 megabytes in all.
"""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from raycluster._version import __version__
from raycluster.errors import ConfigError
from raycluster.evaluation.evaluate import evaluate
from raycluster.pipeline.words import describe_found
from raycluster.review.cards import Card, Shelf
from raycluster.review.items import ItemOptions, Items
from raycluster.review.opened_run import OpenedRun
from raycluster.review.report_audit import audit_section
from raycluster.review.report_cards import (
    QUESTIONS,
    cluster_cards,
    clusters_table,
    id_kind,
    queue_cards,
)
from raycluster.review.report_found import reliability_section, size_section, strength_section
from raycluster.review.report_limits import score_section, sweep_section
from raycluster.review.report_run import change_section, cost_section, health_section
from raycluster.review.section import Section, words
from raycluster.review.shown_clusters import ShownCluster, drawn, largest, shown
from raycluster.review.thumbnails import INSTALL, SIDE
from raycluster.review.vega_script import vega_script
from raycluster.storage import node_cache

PATH = "report.html"
MOST_BYTES = 8_000_000
"""Bytes of a report. Larger ones open slowly and are refused by mail servers."""
RESERVED = 600_000
"""Bytes kept for the page without scripts and sprites; the largest seen was 0.3 MB."""
MOST_TILES = 32
"""Tiles of one card at most: two sides of nine rows, or eight strongest, eight weakest and a bridge."""

TEMPLATES = ("report.html.j2", "report.css", "report.js", "parquet.js")


@dataclass(frozen=True)
class ReportOptions:
    """What goes into a report beside the run itself."""

    items: ItemOptions | None = None
    truth: str | None = None
    """Parquet with true labels."""
    id_column: str | None = None
    """Column of ids in the truth; none means the run's."""
    label_column: str = "label"
    previous: str | None = None
    """Run folder to compare with."""
    usd_hour: float | None = None
    """Price of all machines per hour."""


def item_options(run: str, options: dict[str, Any]) -> ItemOptions:
    """Return options of items with the ids of a run.

    Raises InputError where it is not finished.
    """
    opened = OpenedRun.of(run)
    is_numbered = opened.tables is not None and opened.tables.folder.plan.input.numbered
    options = {**options, "id_column": options.get("id_column") or str(opened.config.get("id_column", "id"))}
    return ItemOptions(is_numbered=is_numbered, **options)


def report(url: str, options: ReportOptions) -> dict[str, Any]:
    """Write the report of the run at `url`; returns its place, bytes and seconds.

    Raises InputError where the run is not finished or an option does not fit it, and ConfigError where a package is missing.
    """
    began = time.monotonic()
    require_packages()
    run = OpenedRun.of(url)
    try:
        sections = _sections(run, options)
        clusters = {"largest": shown(run, largest(run.size)), "random": shown(run, drawn(run.size))}
    finally:
        if run.tables is not None:
            node_cache.leave(run.tables.folder)
    id_type = run.labels["id"].type
    run.store.put_tables("review/clusters.parquet", [clusters_table(dict(clusters), id_type)])
    page = _page(run, sections, clusters, options)
    data = page.encode()
    assert len(data) <= MOST_BYTES, "a report keeps its size"
    run.store.put(PATH, data)
    return {"report": run.store.name(PATH), "bytes": len(data), "seconds": round(time.monotonic() - began, 2)}


def require_packages() -> None:
    """Refuse where a package of the extra `report` is missing.

    Raises ConfigError with the line that installs them.
    """
    try:
        import altair  # noqa: F401
        import jinja2  # noqa: F401
        import PIL  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"A report needs the package {error.name}. {INSTALL}") from error


def _sections(run: OpenedRun, options: ReportOptions) -> list[Section]:
    """Return the sections with a chart."""
    measured = None
    if options.truth is not None:
        id_column = options.id_column or str(run.config.get("id_column", "id"))
        label_column = options.label_column
        scores = evaluate(run.store.url, options.truth, id_column=id_column, label_column=label_column, known_only=True)
        measured = scores["strength"]
    audit = audit_section(run)
    return [
        size_section(run),
        score_section(run),
        sweep_section(run),
        strength_section(run),
        reliability_section(run, measured),
        health_section(run),
        change_section(run, options.previous),
        *([audit] if audit else []),
        cost_section(run, options.usd_hour),
    ]


def _page(
    run: OpenedRun, sections: list[Section], clusters: dict[str, list[ShownCluster]], options: ReportOptions
) -> str:
    """Return the page."""
    script = vega_script()
    galleries = {name: cluster_cards(of_kind) for name, of_kind in clusters.items()}
    queues = queue_cards(run.store)
    cards = _in_turn([*(first for first, _ in queues.values()), *galleries.values()])
    shelf = Shelf(Items(options.items) if options.items else None, MOST_BYTES - RESERVED - len(script.encode()))
    shelf.take(cards, run.labels["id"].type)
    for number, card in enumerate(cards):
        shelf.fill(card, number)
    summary = run.summary
    headline = describe_found(summary) if {"rows", "clusters", "singletons"} <= summary.keys() else ""
    return rendered(
        vega=script,
        sprites={card.number: card.sprite for card in cards if card.sprite},
        answers={
            f"item-{kind}-{place}": card.answer
            for kind, (first, _) in queues.items()
            for place, card in enumerate(first)
        },
        run=run.store.url,
        version=__version__,
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        headline=headline,
        summary=[(name, words(value)) for name, value in summary.items() if isinstance(value, int | float | str)],
        sections=sections,
        galleries=galleries,
        queues={
            kind: {"cards": first, "total": total, "words": QUESTIONS[kind]} for kind, (first, total) in queues.items()
        },
        id_kind=id_kind(run.labels["id"].type),
    )


def _in_turn(groups: Sequence[Sequence[Card]]) -> list[Card]:
    """Return the cards of all groups in turn, so that all are filled alike."""
    longest = max(map(len, groups), default=0)
    return [group[place] for place in range(longest) for group in groups if place < len(group)]


def rendered(vega: str, sprites: dict[int, str], **values: Any) -> str:
    """Return the page, with the hashes of its scripts and styles in its policy.

    Parameters
    ----------
    vega
        Script of the charts.
    sprites
        Base64 WebP by number.
    values
        What else the template shows; texts are escaped there.
    """
    import jinja2

    folder = resources.files("raycluster.review") / "templates"
    read = {
        name: (folder / name).read_text(encoding="utf-8")
        for name in ("report.html.j2", "report.css", "report.js", "parquet.js")
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["words"] = words
    scripts = [vega, f"{read['parquet.js']}\n{read['report.js']}"]
    styles = [read["report.css"], _tiles(sprites)]
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_digest, scripts))}",
            f"style-src {' '.join(map(_digest, styles))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    charts = {section.name: section.chart for section in values["sections"] if section.chart is not None}
    page: str = environment.from_string(read["report.html.j2"]).render(
        policy=policy, scripts=scripts, styles=styles, charts=json.loads(json.dumps(charts)), **values
    )
    return page


def _tiles(sprites: dict[int, str]) -> str:
    """Return the styles that cut tiles: `s3 t0` is the first tile of sprite 3."""
    places = [f".t{place}{{background-position:-{place * SIDE}px 0}}" for place in range(MOST_TILES)]
    images = [f".s{number}{{background-image:url(data:image/webp;base64,{data})}}" for number, data in sprites.items()]
    return "\n".join([*places, *images])


def _digest(text: str) -> str:
    """Return a text's SHA-256 as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
