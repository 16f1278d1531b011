"""A request is the content of its files and its options; what makes no sense is refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.clusters.request import ImportRequest, InputFile, NetworkOptions, NetworkRequest, TableOptions, TableRequest
from respool.errors import UsageError


def test_a_request_changes_with_the_content_of_its_files(tmp_path: Path) -> None:
    edges, sets = tmp_path / "e.tsv", tmp_path / "s.gmt"
    edges.write_text("A\tB\n")
    sets.write_text("s\t\tA\n")

    def request() -> NetworkRequest:
        return NetworkRequest(InputFile.of(edges), (InputFile.of(sets),))

    before = request()
    assert NetworkRequest.from_json(before.to_json()) == before == request()
    edges.write_text("A\tC\n")
    assert request() != before
    with pytest.raises(UsageError, match=r"e\.tsv changed after the clustering was asked for"):
        before.edges.checked()
    assert before.gene_sets[0].checked() == sets


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.tsv' cannot be read: No such file"):
        InputFile.of(tmp_path / "nowhere.tsv")


def test_options_may_be_left_out() -> None:
    file = {"path": "/x", "digest": "0"}
    assert TableRequest.from_data({"table": file}).options == TableOptions()
    assert NetworkRequest.from_data({"edges": file, "gene_sets": [file]}).background == "annotated"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0.0}, "resolution must be more than 0 and at most 1000000, not 0.0"),
        ({"resolution": float("nan")}, "resolution must be more than 0 and at most 1000000, not nan"),
        ({"resolution": float("inf")}, "resolution must be more than 0 and at most 1000000, not inf"),
        ({"min_score": float("inf")}, "min_score must be a finite number, not inf"),
        ({"tries": 0}, "tries must be at least 1 and at most 10000, not 0"),
        ({"tries": 10**11}, "tries must be at least 1 and at most 10000, not 100000000000"),
        ({"resamples": 10**9}, "resamples must be at least 0 and at most 10000, not 1000000000"),
        ({"min_size": 1}, "min_size must be at least 2, not 1"),
        ({"seed": -1}, "seed must be at least 0 and at most 4294967295, not -1"),
        ({"seed": 2**32}, "seed must be at least 0 and at most 4294967295, not 4294967296"),
        ({"alpha": 1.5}, "alpha must be more than 0 and at most 1, not 1.5"),
    ],
)
def test_network_options_that_make_no_sense(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        NetworkOptions(**options)  # type: ignore[arg-type]
    assert caught.value.what == message


def test_other_options_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="k must be at least 2, not 1"):
        TableOptions(k=1)
    with pytest.raises(UsageError, match=r"min_share must be at least 0 and at most 0\.5, not 0\.6"):
        TableOptions(min_share=0.6)
    with pytest.raises(UsageError, match="min_size must be at least 1, not 0"):
        ImportRequest(InputFile("/x", "0"), min_size=0)
