"""Every form of an edge file gives the same edges; a broken one is one error with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.clusters.edges import read_edges
from respool.errors import UsageError

DATA = Path(__file__).parents[2] / "examples" / "data"
EDGES = [("A", "B", 0.9), ("B", "C", 0.4)]
GRAPHML = """<?xml version="1.0"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="n" for="node" attr.name="name" attr.type="string"/><key id="w" for="edge" attr.name="weight" attr.type="double"/>
<graph edgedefault="undirected"><node id="0"><data key="n">A</data></node><node id="1"><data key="n">B</data></node>
<node id="2"><data key="n">C</data></node><node id="3"><data key="n">D</data></node>
<edge source="0" target="1"><data key="w">0.9</data></edge><edge source="1" target="2"><data key="w">0.4</data></edge>
</graph></graphml>"""


@pytest.mark.parametrize(
    "text",
    [
        "protein1 protein2 combined_score\nA B 900\nB C 400\n",
        "#node1\tnode2\tnode1_string_id\tcombined_score\nA\tB\t9606.X\t0.900\nB\tC\t9606.Y\t0.400\n",
        "source,target,weight\nA,B,0.9\nB,C,0.4\n",
        "one;other;strength\nA;B;0.9\nB;C;0.4\n",
        "A\tB\t0.9\nB\tC\t0.4\n",
        "weight\tfrom\tto\n0.9\tA\tB\n0.4\tB\tC\n",
        GRAPHML,
    ],
)  # fmt: skip
def test_every_form_gives_the_same_edges(tmp_path: Path, text: str) -> None:
    (tmp_path / "edges").write_text(text)
    assert read_edges(tmp_path / "edges").links == EDGES


def test_two_columns_have_the_weight_1(tmp_path: Path) -> None:
    (tmp_path / "edges").write_text("A B\nB C\n")
    assert read_edges(tmp_path / "edges").links == [("A", "B", 1.0), ("B", "C", 1.0)]


def test_a_weight_above_1_that_is_not_strings_stays(tmp_path: Path) -> None:
    (tmp_path / "edges").write_text("source,target,weight\nA,B,12\nB,C,3\n")
    assert [weight for _, _, weight in read_edges(tmp_path / "edges").links] == [12, 3]


def test_weak_edges_are_counted_and_their_genes_stay_as_isolates(tmp_path: Path) -> None:
    (tmp_path / "edges").write_text(GRAPHML)
    found = read_edges(tmp_path / "edges", min_score=0.5)
    assert found.links == [("A", "B", 0.9)]
    assert found.lonely == ("C", "D")
    assert [(one.code, one.count) for one in found.notices] == [("weak_link", 1)]


def test_the_real_file() -> None:
    found = read_edges(DATA / "string12_ndd_edges.tsv.gz")
    assert (len(found.links), found.source.rows, found.links[0]) == (7262, 7262, ("AAAS", "MKS1", 0.527))


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("node1\tcombined_score\nA\t0.9\n", "edges has no column 'node2'", "edges:1"),
        ("A\tB\t0.9\nC\t\t0.4\n", "an edge needs two ends; this row has 2 cells", "edges:2"),
        ("A\nB\n", "edges has one column; an edge needs two", "edges:1"),
        ("source,target,weight\nA,B,0.9\nB,C,strong\n", "must be a number of at least 0, not 'strong'", "edges:3"),
        ("source,target,weight\nA,B,-1\n", "at least 0, not '-1'", "edges:2"),
        ("source,target,weight\nA,B\n", "at least 0, not nothing", "edges:2"),
        ("a\tb\tscore\nA\tB\tnan\n", "at least 0, not 'nan'", "edges:2"),
        ("a\tb\tscore\n", "edges has a header and no edges", "edges"),
        ("source\ttarget\n", "edges has a header and no edges", "edges"),
        ("<graphml><graph>", "edges is no well-formed GraphML", "edges"),
        ("<html></html>", "edges is XML, but no GraphML", "edges"),
        (GRAPHML.replace("0.4", "much"), "an edge of edges has the weight 'much'", "edges: 1 – 2"),
        (GRAPHML.replace('target="2"', 'target="9"'), "an edge of edges has an end that is no node", "edges: 1 – 9"),
    ],
)
def test_a_broken_file_is_one_error_with_its_place(tmp_path: Path, text: str, message: str, where: str) -> None:
    (tmp_path / "edges").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_edges(tmp_path / "edges")
    assert message in caught.value.what
    assert caught.value.where == where
