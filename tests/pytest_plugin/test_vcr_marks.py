"""Suites of pytest-recording and pytest-vcr with respool in their place: marks, fixtures, options, files."""

from __future__ import annotations

import pytest
from test_cassette_marks import run, run_alone, run_apart

from counting_service import Service

ONE = """
    import os, httpx, pytest

    @pytest.mark.vcr
    def test_one():
        assert httpx.get(os.environ["SERVICE"] + "/number").json()["number"] == 1
"""


def cassettes(project: pytest.Pytester) -> set[str]:
    return {str(path.relative_to(project.path)) for path in project.path.rglob("*.yaml")}


def test_the_mark_replays_and_only_an_option_records(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE)
    run(project).assert_outcomes(failed=1)
    assert service.asked == 0
    run(project, "--record-mode=once").assert_outcomes(passed=1)
    assert cassettes(project) == {"cassettes/test_it/test_one.yaml"}
    run(project).assert_outcomes(passed=1)
    run(project, "--record-mode=new_episodes").assert_outcomes(passed=1)
    assert service.asked == 1


def test_rewrite_takes_the_old_cassettes_place_only_when_the_test_passes(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=ONE)
    run(project, "--record-mode=once").assert_outcomes(passed=1)
    before = (project.path / "cassettes/test_it/test_one.yaml").read_text()
    run(project, "--record-mode=rewrite").assert_outcomes(failed=1)  # the service now answers 2
    assert (project.path / "cassettes/test_it/test_one.yaml").read_text() == before
    project.makepyfile(test_it=ONE.replace("== 1", ">= 2"))
    run(project, "--record-mode=rewrite").assert_outcomes(passed=1)
    assert (project.path / "cassettes/test_it/test_one.yaml").read_text() != before


def test_names_and_marks(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it="""
        import os, httpx, pytest

        def number():
            return httpx.get(os.environ["SERVICE"] + "/number").json()["number"]

        @pytest.mark.vcr
        @pytest.mark.parametrize("what", ["a/b", "c"])
        class TestIt:
            def test_one(self, what):
                assert number()

        @pytest.mark.default_cassette("given.yaml")
        @pytest.mark.vcr
        def test_given():
            assert number()

        @pytest.mark.vcr("given.yaml")
        def test_extra():
            assert number()
    """)
    run(project, "--record-mode=once").assert_outcomes(passed=4)
    names = ("TestIt.test_one[a-b]", "TestIt.test_one[c]", "given")
    assert cassettes(project) == {f"cassettes/test_it/{name}.yaml" for name in names}
    asked = service.asked
    run(project).assert_outcomes(passed=4)
    assert service.asked == asked == 3


def test_fixtures_can_be_overridden_and_read(project: pytest.Pytester) -> None:
    project.makeconftest("""
        import pytest

        @pytest.fixture(scope="module")
        def vcr_config():
            return {"filter_headers": ["user-agent"], "record_mode": "once", "match_on": ["method", "path"]}

        @pytest.fixture(scope="module")
        def vcr_cassette_dir(request):
            return str(request.node.path.parent / "tapes")

        @pytest.fixture
        def default_cassette_name(request):
            return "own-" + request.node.name

        def pytest_recording_configure(config, vcr):
            vcr.register_matcher("nothing", lambda one, two: None)
    """)
    project.makepyfile(test_it="""
        import os, httpx, pytest

        @pytest.mark.vcr(match_on=["nothing"])
        def test_one(vcr, record_mode, disable_recording):
            httpx.get(os.environ["SERVICE"] + f"/{len(vcr)}")
            assert (record_mode, disable_recording) == ("none", False)
            assert vcr.path.endswith("tapes/own-test_one.yaml")

        def test_unmarked(vcr):
            assert not vcr
    """)
    for _ in range(2):
        run(project).assert_outcomes(passed=2)
    assert cassettes(project) == {"tapes/own-test_one.yaml"}
    assert "user-agent" not in (project.path / "tapes/own-test_one.yaml").read_text().lower()


def test_nothing_is_kept_of_a_failed_test(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=ONE + "        assert False\n")
    run(project, "--record-mode=once").assert_outcomes(failed=1)
    assert cassettes(project) == set()


def test_recording_can_be_disabled(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE)
    for option in ("--disable-recording", "--disable-vcr"):
        service.asked = 0
        run(project, option).assert_outcomes(passed=1)
        assert service.asked == 1
    assert cassettes(project) == set()


def test_the_network_can_be_blocked(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it="""
        import os, pytest, socket
        from urllib.parse import urlsplit

        def connect():
            socket.create_connection(("127.0.0.1", urlsplit(os.environ["SERVICE"]).port)).close()

        @pytest.mark.block_network
        def test_blocked():
            with pytest.raises(RuntimeError, match=r"^Network is disabled for host '127.0.0.1'"):
                connect()

        @pytest.mark.block_network(allowed_hosts=["127.0.0.*"])
        def test_allowed():
            connect()

        def test_open():
            connect()
    """)
    run(project).assert_outcomes(passed=3)
    run(project, "--block-network").assert_outcomes(passed=2, failed=1)
    run(project, "--block-network", "--allowed-hosts=127.*,localhost").assert_outcomes(passed=2, failed=1)


def test_the_layout_and_fixtures_of_pytest_vcr(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE + """
    @pytest.mark.vcr
    def test_two(vcr_cassette, vcr_cassette_name):
        assert vcr_cassette.path.endswith("cassettes/test_two.yaml")
        assert vcr_cassette_name == "test_two"
        assert vcr_cassette.play_count == 0
""")
    run(project, "--record-mode=once", "-k", "one").assert_outcomes(passed=1, deselected=1)
    (project.path / "cassettes/test_it/test_one.yaml").rename(project.path / "cassettes/test_one.yaml")
    (project.path / "cassettes/test_it").rmdir()
    run(project, "--vcr-record=none").assert_outcomes(passed=2)
    assert service.asked == 1


def test_the_vcr_object_and_the_cassette_as_fixtures(project: pytest.Pytester, service: Service) -> None:
    """`vcr` is the cassette in pytest-recording, the VCR object in pytest-vcr: here each answers to the names used."""
    project.makepyfile(test_it="""
        import os, httpx, pytest
        from respool.compat.vcr import VCR

        def number():
            return httpx.get(os.environ["SERVICE"] + "/number").json()["number"]

        @pytest.fixture(scope="module")
        def vcr_config():
            return {"match_on": ["method", "uri"]}

        def test_unmarked(vcr):
            assert isinstance(vcr, VCR) and not vcr
            assert vcr.match_on == ["method", "uri"]
            assert vcr.cassette_library_dir.endswith("test_it")
            with vcr.use_cassette("own") as cassette:
                assert number() == 1 and len(cassette) == 1
            assert cassette.path.endswith("test_it/own.yaml")

        def test_opened_by_its_fixture(vcr_cassette):
            assert number() == 2
            assert vcr_cassette.path.endswith("test_it/test_opened_by_its_fixture.yaml")

        @pytest.mark.vcr
        def test_marked(vcr, vcr_cassette):
            assert vcr is vcr_cassette
            assert vcr.match_on == ["method", "uri"]
            assert number() == 3 and len(vcr) == 1
            with vcr.use_cassette("another"):
                assert number() == 4
            assert len(vcr) == 1
            with pytest.raises(AttributeError, match="nonsense"):
                vcr.nonsense
    """)
    run(project, "--vcr-record-mode=once").assert_outcomes(passed=3)
    run(project).assert_outcomes(passed=3)
    assert service.asked == 4


def test_another_plugin_keeps_its_options_and_is_named(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    project.mkpydir("pytest_recording")
    (project.path / "pytest_recording/__init__.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--record-mode', default='theirs')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(project.path))
    project.makepyfile(test_it="""
        def test_one(request):
            assert request.config.getoption("--record-mode") == "theirs"
    """)
    result = run_apart(project, "-p", "pytest_recording")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["respool: pytest-recording keeps the vcr marks and options*"])


def test_a_suite_is_quicker_to_import_than_its_clients(project: pytest.Pytester) -> None:
    """Nothing of vcrpy's surface is loaded for tests without a mark."""
    project.makepyfile(test_it="""
        import sys

        def test_one():
            assert not [name for name in sys.modules if name.startswith(("respool.compat", "respool.cassette", "yaml"))]
    """)
    run_alone(project).assert_outcomes(passed=1)


