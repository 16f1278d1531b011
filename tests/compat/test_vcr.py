"""vcrpy's surface on our deck: what a suite that says `import vcr` relies on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from counting_service import Service, running
from respool.compat import vcr
from respool.compat.vcr.errors import CannotOverwriteExistingCassetteException
from respool.errors import CassetteUnreadable, UsageError


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running() as server:
        yield server


def number(service: Service, path: str = "/", **options: Any) -> int:
    answer: int = httpx.request(options.pop("method", "GET"), service.url + path, **options).json()["number"]
    return answer


def test_once_records_and_then_only_plays(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.yaml"
    with vcr.use_cassette(str(path)) as cassette:
        first = number(service)
        assert (cassette.play_count, cassette.dirty, cassette.write_protected, len(cassette)) == (0, True, False, 1)
    assert "interactions:" in path.read_text()
    asked = service.asked
    with vcr.use_cassette(str(path)) as cassette:
        assert number(service) == first
        assert (cassette.play_count, cassette.all_played, cassette.write_protected) == (1, True, True)
        assert [request.uri for request in cassette.requests] == [service.url + "/"]
        assert json.loads(cassette.responses[0]["body"]["string"])["number"] == first
        with pytest.raises(CannotOverwriteExistingCassetteException) as missed:
            number(service, "/other")
    assert missed.value.cassette is cassette
    assert missed.value.failed_request.path == "/other"
    assert service.asked == asked


@pytest.mark.parametrize(
    ("mode", "repeats", "first", "then", "played"),
    [
        ("new_episodes", False, [1, 2, 3], [1, 4, 4, 5, 2], {0: 1, 1: 1, 3: 1}),
        ("new_episodes", True, [1, 1, 2], [1, 3, 3, 3, 1], {0: 2, 2: 2}),
        ("all", True, [1, 2, 3], [4, 5, 6, 7, 8], {}),
    ],
)
def test_what_was_recorded_since_is_played_as_vcrpy_does(
    service: Service, tmp_path: Path, mode: str, repeats: bool, first: list[int], then: list[int], played: dict[int, int]
) -> None:  # fmt: skip
    """The numbers are vcrpy 9.4's: a cassette that was there before plays a new answer once, or again with repeats."""
    path = str(tmp_path / "tape.yaml")
    service.asked = 0
    with vcr.use_cassette(path, record_mode=mode, allow_playback_repeats=repeats):
        assert [number(service, path) for path in ("/a", "/a", "/c")] == first
    with vcr.use_cassette(path, record_mode=mode, allow_playback_repeats=repeats) as cassette:
        assert [number(service, path) for path in ("/a", "/n", "/n", "/n", "/a")] == then
        assert dict(cassette.play_counts) == played
        assert cassette.play_count == sum(played.values())


@pytest.mark.parametrize(
    ("mode", "paths", "answers", "kept"),
    [("new_episodes", ["/a", "/c"], [1, 3], 3), ("none", ["/a"], [1], 2), ("all", ["/a", "/b"], [3, 4], 2)],
)
def test_record_modes(service: Service, tmp_path: Path, mode: str, paths: list[str], answers: list[int], kept: int) -> None:
    path = str(tmp_path / "tape.yaml")
    service.asked = 0
    with vcr.use_cassette(path):
        assert (number(service, "/a"), number(service, "/b")) == (1, 2)
    with vcr.use_cassette(path, record_mode=mode):
        assert [number(service, path) for path in paths] == answers
    with vcr.use_cassette(path, record_mode="none") as cassette:
        assert len(cassette) == kept


def test_the_body_is_ignored_by_default_and_the_order_kept(service: Service, tmp_path: Path) -> None:
    path = str(tmp_path / "tape.yaml")
    with vcr.use_cassette(path):
        recorded = [number(service, method="POST", content=text) for text in ("a", "b")]
    with vcr.use_cassette(path):
        assert [number(service, method="POST", content=text) for text in ("x", "y")] == recorded
    with vcr.use_cassette(path, match_on=["method", "uri", "body"]):
        assert number(service, method="POST", content="b") == recorded[1]
        with pytest.raises(CannotOverwriteExistingCassetteException):
            number(service, method="POST", content="x")


def test_playback_repeats(service: Service, tmp_path: Path) -> None:
    path = str(tmp_path / "tape.yaml")
    with vcr.use_cassette(path):
        first = number(service)
    with vcr.use_cassette(path, allow_playback_repeats=True) as cassette:
        assert [number(service) for _ in range(3)] == [first] * 3
        assert cassette.play_count == 3


def test_filters_are_of_what_is_kept_and_of_what_is_matched(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.yaml"
    used = vcr.VCR(
        filter_headers=["authorization", ("x-api-key", "hidden")], filter_query_parameters=["token"],
        filter_post_data_parameters=[("password", "hidden")],
        before_record_response=lambda response: {**response, "headers": {}},
    )  # fmt: skip
    with used.use_cassette(str(path)):
        headers = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret"}
        first = number(service, "/?token=s3cret&a=1", method="POST", headers=headers, data={"password": "s3cret", "b": "2"})
    text = path.read_text()
    request_part = text.partition("response:")[0]
    assert "s3cret" not in request_part
    assert "hidden" in request_part
    assert "headers: {}" in text
    with used.use_cassette(str(path)):
        assert number(service, "/?token=other&a=1", method="POST", data={"password": "x", "b": "2"}) == first


def test_ignored_hosts_go_live_and_are_not_kept(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.yaml"
    asked = service.asked
    with vcr.use_cassette(str(path), ignore_localhost=True):
        assert number(service) == asked + 1
    with vcr.use_cassette(str(path), before_record_request=lambda request: None if request.path == "/health" else request):
        assert number(service, "/health") == asked + 2
    assert not path.exists()


def test_sensitive_data_is_hidden_in_the_file_and_restored(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.yaml"
    options: dict[str, Any] = {"filter_sensitive_data": {"<KEY>": "t0psecret"}, "match_on": ["method", "uri"]}
    with vcr.use_cassette(str(path), **options):
        first = number(service, "/t0psecret")
    assert "t0psecret" not in path.read_text()
    assert "<KEY>" in path.read_text()
    with vcr.use_cassette(str(path), **options):
        assert number(service, "/t0psecret") == first


def test_secrets_that_no_filter_names_are_replaced_and_still_match(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.yaml"
    headers = {"Authorization": "Bearer 7f3a9c5e21b84d06a1c2"}
    with vcr.use_cassette(str(path)):
        first = number(service, "/?api_key=9f8e7d6c5b4a39281706&a=1", headers=headers)
    text = path.read_text()
    assert "7f3a9c5e21b84d06a1c2" not in text
    assert "9f8e7d6c5b4a39281706" not in text
    with vcr.use_cassette(str(path)):
        assert number(service, "/?api_key=another-key-1234&a=1", headers={"Authorization": "Bearer x"}) == first


def test_own_matchers_serialisers_and_persisters(service: Service, tmp_path: Path) -> None:
    kept: dict[str, str] = {}

    class Persister:
        @staticmethod
        def load_cassette(path: str, serializer: Any) -> Any:
            from respool.compat.vcr.persisters.filesystem import CassetteNotFoundError
            from respool.compat.vcr.serialize import deserialize

            if path not in kept:
                raise CassetteNotFoundError(path)
            return deserialize(kept[path], serializer)

        @staticmethod
        def save_cassette(path: str, cassette_dict: dict[str, Any], serializer: Any) -> None:
            from respool.compat.vcr.serialize import serialize

            kept[path] = serialize(cassette_dict, serializer)

    class Upper:
        serialize = staticmethod(lambda data: json.dumps(data).replace("interactions", "INTERACTIONS"))
        deserialize = staticmethod(lambda text: json.loads(text.replace("INTERACTIONS", "interactions")))

    def same_length(one: Any, two: Any) -> None:
        assert len(one.path) == len(two.path)

    used = vcr.VCR(serializer="upper", match_on=["method", "length"], cassette_library_dir=str(tmp_path))
    used.register_serializer("upper", Upper)
    used.register_persister(Persister)
    used.register_matcher("length", same_length)
    with used.use_cassette("tape"):
        first = number(service, "/abc")
    assert list(kept) == [str(tmp_path / "tape")]
    assert "INTERACTIONS" in kept[str(tmp_path / "tape")]
    with used.use_cassette("tape"):
        assert number(service, "/xyz") == first
        with pytest.raises(CannotOverwriteExistingCassetteException):
            number(service, "/longer")


def test_decorators(service: Service, tmp_path: Path) -> None:
    used = vcr.VCR(cassette_library_dir=str(tmp_path), path_transformer=vcr.VCR.ensure_suffix(".yaml"))

    @used.use_cassette
    def named() -> int:
        return number(service)

    @used.use_cassette("given", inject_cassette=True)
    def injected(cassette: Any) -> tuple[int, str]:
        return number(service), cassette.path

    @used.use_cassette("coroutine")
    async def coroutine() -> int:
        async with httpx.AsyncClient() as client:
            found: int = (await client.get(service.url)).json()["number"]
        return found

    @used.use_cassette("generator")
    def generator() -> Iterator[int]:
        yield number(service)

    def all_of_them() -> list[Any]:
        return [named(), injected(), asyncio.run(coroutine()), list(generator())]

    first = all_of_them()
    assert all_of_them() == first
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "coroutine.yaml", "generator.yaml", "given.yaml", "named.yaml",
    ]  # fmt: skip


def test_unittest(service: Service, tmp_path: Path) -> None:
    from respool.compat.vcr.unittest import VCRTestCase

    class TestIt(VCRTestCase):
        def _get_cassette_library_dir(self) -> str:
            return str(tmp_path)

        def runTest(self) -> None:  # noqa: N802
            self.number = number(service)

    tests = [TestIt(), TestIt()]
    for test in tests:
        result = test.run()
        assert result is not None
        assert result.wasSuccessful()
    assert tests[0].number == tests[1].number
    assert (tmp_path / "TestIt.runTest.yaml").is_file()


def test_a_damaged_cassette_is_not_recorded_over(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "tape.yaml"
    path.write_text("interactions:\n- request: {uri: [\n")
    with pytest.raises(CassetteUnreadable), vcr.use_cassette(str(path)):
        number(service)
    assert path.read_text() == "interactions:\n- request: {uri: [\n"


def test_what_is_not_supported_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="custom_patches"), vcr.use_cassette(str(tmp_path / "a"), custom_patches=((1, "a"),)):
        pass
    with pytest.raises(UsageError, match="match_onn"):
        vcr.use_cassette(str(tmp_path / "a"), match_onn=["uri"])
    with pytest.raises(KeyError, match="nobody"), vcr.use_cassette(str(tmp_path / "a"), match_on=["nobody"]):
        pass
    with pytest.raises(ValueError, match="sometimes"):
        vcr.VCR(record_mode="sometimes")


def test_it_answers_to_the_name_vcr_when_asked() -> None:
    program = """
from respool.compat.vcr import answer_to_vcr
answer_to_vcr()
import vcr, vcr.request, vcr.cassette, vcr.errors, vcr.matchers, vcr.filters, vcr.unittest, vcr.record_mode
from vcr.persisters.filesystem import FilesystemPersister
from vcr.serializers import yamlserializer
assert vcr.VCR.__module__ == "respool.compat.vcr.config"
assert vcr.request.Request is vcr.Request
"""
    subprocess.run([sys.executable, "-c", program], check=True)
