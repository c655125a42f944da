"""Draw the pictures of the README and the documentation as SVG: `python docs/_build/draw_pictures.py`.

Every number in them is one that a page of the documentation states, with its date and machine.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

PICTURES = Path(__file__).resolve().parent.parent / "pictures"
COLORS = ("#4051b5", "#c2410c", "#15803d", "#6b7280")
"""Colors of three identities and of what stands alone; each has a contrast of 4.5 or more on white."""
OUTCOME = ((0, (0, 3, 7, 10)), (1, (1, 4, 8)), (2, (2, 5, 9, 11)), (3, (6,)))
"""Rows of each identity in the first picture; the last stands alone."""
STAGES = ("embeddings", "neighbors", "scores", "edges", "communities", "labels")
STAGE_NOTES = ("one vector per row", "80 nearest per row", "same identity?", "score at the limit", "map equation", "identities")
RELIABILITY = {
    "generated": ((0.78, 0.67), (0.88, 0.79), (0.97, 0.98)),
    "CelebA": ((0.88, 0.81), (0.95, 0.99)),
    "PriceRunner": ((0.89, 0.74), (0.91, 0.89)),
}
"""Mean strength and share of right rows per bin of strength: the table of docs/confidence.md."""
GROWTH = {
    "cosine": ((100_000, 34), (300_000, 74), (5_210_000, 3_420)),
    "HDBSCAN on faiss": ((100_000, 38), (300_000, 318)),
    "EVoC": ((100_000, 10), (300_000, 45)),
}
"""Rows and seconds of whole jobs on two cores: the tables of docs/benchmarks.md."""
SIZES = (
    ("1", 231), ("2", 69), ("3-4", 60), ("5-8", 43), ("9-16", 31), ("17-32", 20), ("33-64", 11), ("65-128", 9), ("129-256", 6),
)  # fmt: skip
"""Identities by their number of rows: what `docs/_build/example_numbers.py` prints of a run on 4,000 generated rows."""
SCORES, LIMIT = (
    35865, 6128, 2028, 1506, 1160, 687, 526, 407, 335, 353, 390, 321, 277, 248, 294, 378, 559, 724, 1084, 1648, 2683, 4248, 10249,
    28594, 133388,
), 0.69  # fmt: skip
"""Pairs of neighbors by their score, and the limit that was read from the valley, of the same run."""

STATES = {
    "unchanged": (464, 832, 1144, 1478, 1774, 2040, 2310, 2537, 2760),
    "merged": (8, 8, 2, 28, 6, 7, 16, 10, 12),
    "in parts": (0, 0, 11, 0, 0, 13, 0, 0, 0),
}
"""Clusters and rows alone of the batch before, by what the next batch made of them: LFW in `benchmarks/results/batches.json`."""
FULL_RUNS = (2, 3, 4, 5, 7, 9)
"""Batches after which all rows were clustered again, in the same table."""


def text(x: float, y: float, words: str, anchor: str = "middle", size: int = 13, color: str = "#111827") -> str:
    """Return a line of text."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="{color}">{words}</text>'


def line(points: Iterable[tuple[float, float]], color: str, dash: str = "") -> str:
    """Return a line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>'


def photo(x: float, y: float, row: int, color: str) -> str:
    """Return a photo: a head and shoulders in a frame with the number of its row."""
    return (
        f'<g transform="translate({x:g} {y:g})"><rect width="34" height="40" rx="4" fill="#fff" stroke="{color}" '
        f'stroke-width="2"/><circle cx="17" cy="13" r="6" fill="{color}"/><path d="M6 30a11 9 0 0 1 22 0z" fill="{color}"/>'
        f'{text(17, 38, str(row), size=8, color="#6b7280")}</g>'
    )


def picture(name: str, title: str, width: int, height: int, shapes: Sequence[str]) -> None:
    """Write an SVG with a title for screen readers."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif"><title>{title}</title>'
    )
    PICTURES.mkdir(exist_ok=True)
    body = "\n".join((head, '<rect width="100%" height="100%" fill="#fff"/>', *shapes, "</svg>"))
    (PICTURES / f"{name}.svg").write_text(body + "\n")


def outcome() -> None:
    """Draw photos on the left, identities on the right."""
    shapes = [text(115, 24, "embeddings of photos"), text(520, 24, "one label per row")]
    shapes += [photo(25 + 46 * (row % 4), 40 + 48 * (row // 4), row, COLORS[3]) for row in range(12)]
    shapes += [line([(225, 108), (285, 108)], COLORS[3]), line([(277, 101), (286, 108), (277, 115)], COLORS[3])]
    for place, (identity, rows) in enumerate(OUTCOME):
        left, top = 310 + 220 * (place % 2), 40 + 84 * (place // 2)
        words = "stands alone" if len(rows) == 1 else f"cluster_id {identity}"
        shapes += [photo(left + 42 * at, top, row, COLORS[identity]) for at, row in enumerate(rows)]
        shapes.append(text(left, top + 58, words, "start", 12, COLORS[identity]))
    picture("outcome", "Twelve photos become three identities and one row that stands alone", 720, 200, shapes)


def data_flow() -> None:
    """Draw the stages as boxes in a row."""
    shapes = []
    for place, (name, note) in enumerate(zip(STAGES, STAGE_NOTES, strict=True)):
        left = 10 + 140 * place
        box = f'<rect x="{left}" y="20" width="116" height="52" rx="6" fill="#eef2ff" stroke="{COLORS[0]}"/>'
        shapes += [box, text(left + 58, 42, name), text(left + 58, 61, note, size=11, color="#4b5563")]
        if place:
            shapes.append(line([(left - 24, 46), (left - 2, 46)], COLORS[0]))
            shapes.append(line([(left - 8, 41), (left - 2, 46), (left - 8, 51)], COLORS[0]))
    picture("data-flow", " to ".join(STAGES), 836, 92, shapes)


def axes(width: int, height: int, across: str, up: str) -> list[str]:
    """Return a frame with a word per axis."""
    frame = f'<rect x="60" y="20" width="{width}" height="{height}" fill="none" stroke="#9ca3af"/>'
    turned = f'<g transform="translate(18 {20 + height / 2:g}) rotate(-90)">{text(0, 0, up)}</g>'
    return [frame, text(60 + width / 2, height + 58, across), turned]


def reliability() -> None:
    """Draw the share of right rows over strength; on the diagonal strength is exact."""
    shapes = axes(300, 300, "strength", "share of right rows")
    shapes.append(line([(60, 320), (360, 20)], "#9ca3af", "5 5"))
    for place, tick in enumerate((0.0, 0.5, 1.0)):
        shapes += [text(60 + 150 * place, 338, f"{tick:g}", size=11), text(54, 324 - 150 * place, f"{tick:g}", "end", 11)]
    for color, (name, points) in zip(COLORS, RELIABILITY.items(), strict=False):
        places = [(60 + 300 * mean, 320 - 300 * right) for mean, right in points]
        shapes.append(line(places, color))
        shapes += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>' for x, y in places]
        shapes.append(text(376, places[-1][1] + 4 + 14 * (name == "generated"), name, "start", 12, color))
    picture("reliability", "Share of right rows over strength, on three sets", 470, 370, shapes)


def growth() -> None:
    """Draw seconds over rows, both on a logarithmic scale."""
    shapes = axes(380, 300, "rows", "seconds")
    for power in (5, 6, 7):
        shapes.append(text(60 + 190 * (power - 5), 338, f"{10**power:,}", size=11))
    for power in (1, 2, 3, 4):
        shapes.append(text(54, 324 - 100 * (power - 1), f"{10**power:,}", "end", 11))
    for color, (name, points) in zip(COLORS, GROWTH.items(), strict=False):
        places = [(60 + 190 * (math.log10(n) - 5), 320 - 100 * (math.log10(s) - 1)) for n, s in points]
        shapes.append(line(places, color))
        shapes += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>' for x, y in places]
        shapes.append(text(places[-1][0] + 10, places[-1][1] + 5, name, "start", 12, color))
    picture("growth", "Seconds of a whole job over rows, logarithmic", 480, 370, shapes)


def bars(counts: Sequence[float], highest: float, color: str) -> list[str]:
    """Return bars in the frame of `axes`, 380 wide and 240 high."""
    width = 380 / len(counts)
    return [
        f'<rect x="{60 + width * at + 1:.1f}" y="{260 - 240 * count / highest:.1f}" width="{width - 2:.1f}" '
        f'height="{240 * count / highest:.1f}" fill="{color}"/>'
        for at, count in enumerate(counts)
    ]


def sizes() -> None:
    """Draw how many identities have how many rows."""
    counts = [count for _, count in SIZES]
    shapes = axes(380, 240, "rows per identity", "identities") + bars(counts, 1.1 * max(counts), COLORS[0])
    for at, (name, count) in enumerate(SIZES):
        place = 60 + 380 * (at + 0.5) / len(SIZES)
        shapes += [text(place, 276, name, size=10), text(place, 254 - 240 * count / (1.1 * max(counts)), str(count), size=10)]
    picture("sizes", "Identities by their number of rows", 460, 310, shapes)


def batches() -> None:
    """Draw what became of clusters with every batch: nearly all are unchanged, and the others have an inset of their own."""
    shapes = axes(380, 240, "batch", "clusters and rows alone")
    for tick in (0, 1000, 2000, 3000):
        shapes.append(text(54, 264 - 240 * tick / 3300, f"{tick:,}", "end", 11))
    for at in range(9):
        x, top = 60 + 380 * (at + 0.5) / 9, 260.0
        for color, counts in zip((COLORS[0], COLORS[1], COLORS[2]), STATES.values(), strict=True):
            height = 240 * counts[at] / 3300
            top -= height
            shapes.append(f'<rect x="{x - 15:.1f}" y="{top:.1f}" width="30" height="{height:.1f}" fill="{color}"/>')
        changed = [f"{counts[at]}" for counts in (STATES["merged"], STATES["in parts"])]
        shapes.append(text(x, top - 18, changed[0], size=10, color=COLORS[1]))
        shapes.append(text(x, top - 6, changed[1], size=10, color=COLORS[2]))
        shapes.append(text(x, 276, f"{at + 2}{' full' if at + 2 in FULL_RUNS else ''}", size=10))
    for at, (name, color) in enumerate(zip(STATES, COLORS, strict=False)):
        shapes.append(text(80, 44 + 18 * at, name, "start", 12, color))
    picture("batches", "What became of clusters with every batch", 460, 310, shapes)


def valley() -> None:
    """Draw the histogram of scores, whose valley is the limit; counts on a logarithmic scale."""
    heights = [math.log10(count) - 2 for count in SCORES]
    shapes = axes(380, 240, "score of a pair of neighbors", "pairs") + bars(heights, 3.4, COLORS[0])
    for power in (2, 3, 4, 5):
        shapes.append(text(54, 264 - 240 * (power - 2) / 3.4, f"{10**power:,}", "end", 11))
    for tick in (0.0, 0.5, 1.0):
        shapes.append(text(60 + 380 * tick, 276, f"{tick:g}", size=11))
    place = 60 + 380 * LIMIT
    shapes += [line([(place, 20), (place, 260)], COLORS[1], "5 4"), text(place - 6, 36, f"limit {LIMIT:g}", "end", 12, COLORS[1])]
    shapes += [text(150, 60, "other identities", size=12), text(400, 60, "the same", "end", 12)]
    picture("valley", "Histogram of scores with the valley that the limit is read from", 460, 310, shapes)


def main() -> None:
    """Write every picture."""
    sizes()
    valley()
    outcome()
    data_flow()
    reliability()
    growth()
    batches()


if __name__ == "__main__":
    main()
