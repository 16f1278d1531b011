"""Pictures for the report, as SVG text: the network with its clusters in colour, and the evidence of a cluster as bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from respool.clusters.model import Picture
from respool.summaries.evidence import Evidence, number_text

SIZE = 640  # of the network's picture, in pixels
BAR, GAP, LABELS, WIDTH = 14, 6, 330, 640  # of a bar chart
BARS = 8  # bars of a cluster
HUE_STEP = 137.508  # the golden angle: neighbours in number are far apart in colour


def colour(number: int) -> str:
    """The colour of the cluster at this place, told apart from its neighbours' in light and dark."""
    return f"hsl({number * HUE_STEP % 360:.0f} 62% {48 + 8 * (number % 3)}%)"


def network(picture: Picture, clusters: Mapping[str, int], names: Sequence[str]) -> str:
    """The network: a dot for each member, coloured by the place of its cluster in `names` (grey in none)."""
    if not picture.names:
        return ""
    points = [(_scaled(x), _scaled(y)) for x, y in zip(picture.x, picture.y, strict=True)]
    lines = "".join(
        f"M{points[a][0]} {points[a][1]}L{points[b][0]} {points[b][1]}" for a, b in picture.lines
    )  # fmt: skip
    dots = []
    for name, (x, y) in zip(picture.names, points, strict=True):
        place = clusters.get(name)
        told = escape(name if place is None else f"{name}: cluster {names[place]}")
        fill = "var(--faint)" if place is None else colour(place)
        radius = 2.2 if place is None else 3.4
        dots.append(f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}"><title>{told}</title></circle>')
    left = f" {picture.lines_left_out} weaker links are not drawn." if picture.lines_left_out else ""
    label = f"The network of {len(picture.names)} members, each cluster in its colour.{left}"
    return (
        f'<figure><svg class="network" viewBox="0 0 {SIZE} {SIZE}" role="img" aria-label="{escape(label)}">'
        f'<path d="{lines}" stroke="var(--line)" stroke-width=".4" fill="none"/>{"".join(dots)}</svg>'
        f"<figcaption>{escape(label)}</figcaption></figure>"
    )


def bars(evidence: Evidence, place: int) -> str:
    """The strongest evidence of one cluster: terms by -log10 q, features by v-test to the left and right of 0."""
    rows: list[tuple[str, float, str]] = [
        (term.name, -math.log10(max(term.q, 1e-300)), f"q = {number_text(term.q)}") for term in evidence.terms[:BARS]
    ]
    rows += [
        (feature.id, feature.v_test, f"v-test {number_text(feature.v_test)}") for feature in evidence.features[:BARS]
    ]  # fmt: skip
    if not rows:
        return ""
    most = max(abs(value) for _, value, _ in rows) or 1.0
    signed = any(value < 0 for _, value, _ in rows)
    room = WIDTH - LABELS - 110
    zero = LABELS + (room / 2 if signed else 0)
    drawn = []
    for at, (name, value, told) in enumerate(rows):
        y, length = at * (BAR + GAP), abs(value) / most * (room / 2 if signed else room)
        left = zero - length if value < 0 else zero
        shown = name if len(name) <= 52 else name[:51] + "…"
        drawn.append(
            f'<text x="{LABELS - 8}" y="{y + BAR - 3}" text-anchor="end">{escape(shown)}<title>{escape(name)}</title></text>'
            f'<rect x="{left:.1f}" y="{y}" width="{max(length, 1):.1f}" height="{BAR}" rx="2" fill="{colour(place)}"/>'
            f'<text class="figure" x="{LABELS + room + 8}" y="{y + BAR - 3}">{escape(told)}</text>'
        )
    height = len(rows) * (BAR + GAP)
    label = "Over-represented terms, longer is stronger (-log10 q)" if evidence.terms else "Features by v-test"
    return (
        f'<svg class="bars" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'
    )


def _scaled(share: float) -> float:
    return round(8 + share * (SIZE - 16), 1)
