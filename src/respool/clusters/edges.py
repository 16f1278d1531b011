"""The edges of a network from the files that people have: STRING's links, its web export, lists of pairs, GraphML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from respool.clusters.model import Input, Notice
from respool.clusters.reading import Rows, Text, number_of, read_text, rows_of
from respool.errors import UsageError
from respool.phrases import counted

# How the ends of an edge are called, in the files of STRING, igraph, Cytoscape, BioGRID and pandas.
_ENDS = (
    ("protein1", "protein2"), ("node1", "node2"), ("source", "target"), ("from", "to"), ("gene1", "gene2"),
    ("symbol1", "symbol2"), ("gene_a", "gene_b"), ("interactor_a", "interactor_b"),
)  # fmt: skip
_WEIGHTS = ("combined_score", "weight", "score", "confidence")
_NODE_NAMES = ("name", "label", "symbol")
_STRING_SCALE = 1000  # STRING's files say 0 to 1000 where its website says 0 to 1
_XML = "{http://graphml.graphdrawing.org/xmlns}"


@dataclass(frozen=True, slots=True)
class Edges:
    """The edges as they were written: (one end, other end, weight > 0), and nodes that the file names without any."""

    links: list[tuple[str, str, float]]
    lonely: tuple[str, ...]
    source: Input
    notices: tuple[Notice, ...]


def read_edges(path: Path, *, min_score: float = 0.0) -> Edges:
    """The edges of a file, plain or gzipped; what is below `min_score` is left out and counted.

    A column called combined_score that goes beyond 1 is STRING's 0 to 1000 and is divided by 1000. Without a weight column
    all weights are 1. Raises UsageError for a missing column, a row with fewer than two cells, a weight that is no number.
    """
    text = read_text(path)
    if text.lines[0].lstrip().startswith("<"):
        links, nodes = _graphml(text)
    else:
        links, nodes = _delimited(rows_of(text)), []
    kept = [link for link in links if link[2] > 0 and link[2] >= min_score]
    linked = {end for one, other, _ in kept for end in (one, other)}
    mentioned = dict.fromkeys([*nodes, *(end for one, other, _ in links for end in (one, other))])
    notices = []
    if len(kept) < len(links):
        text_of = f"{counted(len(links) - len(kept), 'edge')} with a score of 0 or below {min_score:g} left out"
        notices.append(Notice("weak_link", text_of, len(links) - len(kept)))
    lonely = tuple(sorted(mentioned.keys() - linked))
    return Edges(kept, lonely, text.as_input("edges", len(links)), tuple(notices))


def _delimited(rows: Rows) -> list[tuple[str, str, float]]:
    first, second, weight, start = _layout(rows)
    names = rows.cells[0] if start else None
    links = []
    for at in range(start, len(rows.cells)):
        cells = rows.cells[at]
        if len(cells) <= max(first, second) or not cells[first] or not cells[second]:
            raise UsageError(
                f"an edge needs two ends; this row has {counted(len([cell for cell in cells if cell]), 'cell')}",
                where=rows.where(at), why="cells are separated by " + _DELIMITERS[rows.delimiter],
            )  # fmt: skip
        value = 1.0
        if weight is not None:
            found = number_of(cells[weight]) if weight < len(cells) else None
            if found is None or found < 0:
                shown = repr(cells[weight]) if weight < len(cells) else "nothing"
                called = repr(names[weight]) if names else f"number {weight + 1}"
                raise UsageError(f"the weight of an edge must be a number of at least 0, not {shown}", where=rows.where(at),
                                 why=f"column {called} is taken for the weight")  # fmt: skip
            value = found
        links.append((cells[first], cells[second], value))
    if not links:
        raise UsageError(f"{rows.name} has a header and no edges", where=rows.name)
    if names and weight is not None and names[weight].lower() == _WEIGHTS[0] and any(link[2] > 1 for link in links):
        links = [(one, other, value / _STRING_SCALE) for one, other, value in links]
    return links


_DELIMITERS = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "blanks"}


def _layout(rows: Rows) -> tuple[int, int, int | None, int]:
    """Which columns hold the two ends and the weight (None: none does), and the row where the edges start."""
    header = [cell.lower() for cell in rows.cells[0]]
    for one, other in _ENDS:
        if one in header and other in header:
            weight = next((header.index(name) for name in _WEIGHTS if name in header), None)
            return header.index(one), header.index(other), weight, 1
        if (one in header) != (other in header):
            rows.column(other, header)  # raises, and says which columns there are
    if len(header) < 2:
        raise UsageError(
            f"{rows.name} has one column; an edge needs two", where=rows.where(0),
            why="no tab, comma, semicolon or blank is in its first line",
        )  # fmt: skip
    if len(header) == 2:
        return 0, 1, None, 0
    is_header = number_of(header[2]) is None and (header[2] in _WEIGHTS or _has_number(rows.cells[1:2]))
    return 0, 1, 2, int(is_header)


def _has_number(first: list[list[str]]) -> bool:
    return any(len(cells) > 2 and number_of(cells[2]) is not None for cells in first)


def _graphml(text: Text) -> tuple[list[tuple[str, str, float]], list[str]]:
    """Edges and nodes; a node is called by its `name` (or `label`, `symbol`) if it has one, else by its id."""
    try:
        root = ElementTree.fromstring("\n".join(text.lines))
    except ElementTree.ParseError as error:
        raise UsageError(f"{text.name} is no well-formed GraphML", where=text.name, why=str(error)) from None
    if root.tag not in (f"{_XML}graphml", "graphml"):
        raise UsageError(f"{text.name} is XML, but no GraphML", where=text.name, why=f"its root is {root.tag}")
    space = _XML if root.tag.startswith("{") else ""
    keys = {key.get("id"): (key.get("attr.name") or "").lower() for key in root.iter(f"{space}key")}

    def attributes(element: ElementTree.Element) -> dict[str, str]:
        return {keys.get(data.get("key"), ""): (data.text or "").strip() for data in element.iter(f"{space}data")}

    names: dict[str, str] = {}
    for node in root.iter(f"{space}node"):
        found = attributes(node)
        own = node.get("id", "")
        names[own] = _first(found, _NODE_NAMES) or own
    links = []
    for edge in root.iter(f"{space}edge"):
        ends = [names.get(edge.get(end, ""), "") for end in ("source", "target")]
        weight = _first(attributes(edge), _WEIGHTS)
        value = 1.0 if weight is None else number_of(weight)
        if not all(ends) or value is None or value < 0:
            where = f"{text.name}: {edge.get('source')} – {edge.get('target')}"
            what = f"the weight {weight!r}" if all(ends) else "an end that is no node"
            raise UsageError(f"an edge of {text.name} has {what}", where=where)
        links.append((ends[0], ends[1], value))
    return links, list(names.values())


def _first(found: dict[str, str], names: Iterable[str]) -> str | None:
    return next((found[name] for name in names if found.get(name)), None)
