"""The plugin through real pytest runs: what is recorded, replayed, refused, kept and told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from counting_service import Service
from respool.pytest_plugin.stashed import RUNNING

ONE = """
    import os, httpx, pytest

    @pytest.mark.cassette
    def test_one():
        assert httpx.get(os.environ["SERVICE"] + "/number").json()["number"] == 1
"""


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    """A run in this process, which costs a tenth of one in its own."""
    return project.runpytest_inprocess("-p", "no:cacheprovider", *options)


def run_apart(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    """A run in a process of its own: for workers, and for what a fresh process has loaded."""
    return project.runpytest_subprocess("-p", "no:cacheprovider", *options)


def run_alone(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    """A run in a process of its own with no other plugin than ours: theirs load what they like."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return run_apart(project, "-p", "respool.pytest_plugin", *options)


def cassettes(project: pytest.Pytester) -> list[Path]:
    """What was recorded; what runs note in .respool/ is no cassette."""
    return [path for path in project.path.rglob("*.json") if ".respool" not in path.parts]


def test_recorded_once_and_never_asked_for_again(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE)
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    assert (project.path / "cassettes/test_it/test_one.json").is_file()
    assert service.asked == 1
    run(project).assert_outcomes(passed=1)
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    assert service.asked == 1


def test_without_a_cassette_the_test_fails_and_says_what_would_record_it(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE)
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*RequestNotRecorded: GET http://127.0.0.1:*/number*"])
    result.stdout.fnmatch_lines(["*pytest --cassettes=fill test_it.py::test_one*"])
    assert service.asked == 0


def test_a_miss_is_shown_at_the_lines_of_the_project(project: pytest.Pytester) -> None:
    project.makepyfile(weather="""
        import os, httpx

        def number():
            return httpx.get(os.environ["SERVICE"] + "/number")
    """, test_it="""
        import pytest, weather

        @pytest.mark.cassette
        def test_one():
            weather.number()
    """)
    project.syspathinsert()
    told = run(project).stdout.str()
    assert "weather.py:4: RequestNotRecorded" in told
    assert "_client.py" not in told
    assert "driving.py" not in told


def test_a_miss_that_the_application_swallows_fails_the_test(project: pytest.Pytester) -> None:
    project.makepyfile(test_it="""
        import os, httpx, pytest

        @pytest.mark.cassette
        def test_one():
            try:
                httpx.get(os.environ["SERVICE"] + "/number")
            except Exception:
                pass
    """)
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*swallowed*"])


def test_nothing_is_kept_of_a_failed_test(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE + "        assert False\n")
    run(project, "--cassettes=fill").assert_outcomes(failed=1)
    assert service.asked == 1
    assert not cassettes(project)


def test_nothing_is_kept_where_a_fixture_fails_at_the_end(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=ONE + """
    @pytest.fixture(autouse=True)
    def broken():
        yield
        raise OSError("at the end")
    """)
    run(project, "--cassettes=fill").assert_outcomes(passed=1, errors=1)
    assert not cassettes(project)


def test_a_re_recording_that_fails_leaves_the_old_cassette(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=ONE)
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    path = project.path / "cassettes/test_it/test_one.json"
    before = path.read_bytes()
    run(project, "--cassettes=rerecord").assert_outcomes(failed=1)  # the service now answers 2
    assert path.read_bytes() == before


def test_a_bad_status_refuses_the_whole_recording_unless_it_is_allowed(project: pytest.Pytester) -> None:
    text = """
        import os, httpx, pytest

        @pytest.mark.cassette{options}
        def test_one():
            httpx.get(os.environ["SERVICE"] + "/number")
            assert httpx.get(os.environ["SERVICE"] + "/status/404").status_code == 404
    """
    project.makepyfile(test_it=text.format(options=""))
    result = run(project, "--cassettes=fill")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*CassetteRefused*404*", "*allow_status=[[]404]*"])
    assert not cassettes(project)
    project.makepyfile(test_it=text.format(options="(allow_status=[404])"))
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    run(project).assert_outcomes(passed=1)


def test_unknown_mark_options_end_the_run_before_it_begins(project: pytest.Pytester) -> None:
    project.makepyfile(test_it="""
        import pytest

        @pytest.mark.cassette(ignore_querry=["ts"])
        def test_one(): ...
    """)
    result = run(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = "*test_it.py::test_one: @pytest.mark.cassette has no option 'ignore_querry'; did you mean ignore_query?*"
    result.stderr.fnmatch_lines([told])


def test_parameters_have_cassettes_of_their_own(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it="""
        import os, httpx, pytest

        @pytest.mark.cassette
        @pytest.mark.parametrize("what", ["a/b", "a:b", "x" * 300, "é"])
        def test_one(what):
            assert httpx.post(os.environ["SERVICE"] + "/echo", json=what).json() == what
    """)
    run(project, "--cassettes=fill").assert_outcomes(passed=4)
    assert len(cassettes(project)) == 4
    run(project).assert_outcomes(passed=4)
    assert service.asked == 4


def test_one_cassette_for_a_module(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it="""
        import os, httpx, pytest

        pytestmark = pytest.mark.cassette(scope="module")

        def test_one():
            assert httpx.get(os.environ["SERVICE"] + "/number").json()["number"] == 1

        def test_two(module_cassette):
            assert httpx.get(os.environ["SERVICE"] + "/number").json()["number"] == 2
            assert module_cassette.played + module_cassette.recorded == 2
    """)
    run(project, "--cassettes=fill").assert_outcomes(passed=2)
    assert [path.name for path in cassettes(project)] == ["test_it.json"]
    run(project).assert_outcomes(passed=2)
    assert service.asked == 2


def test_a_fixture_of_the_whole_run_has_its_own_cassette(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it="""
        import os, httpx, pytest

        @pytest.fixture(scope="session")
        def login(open_cassette):
            with open_cassette("cassettes/login.json"):
                yield httpx.get(os.environ["SERVICE"] + "/number").json()["number"]

        @pytest.mark.cassette
        def test_one(login):
            assert login == 1
            assert httpx.get(os.environ["SERVICE"] + "/number").json()["number"] == 2
    """)
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    found = {str(path.relative_to(project.path)) for path in cassettes(project)}
    assert found == {"cassettes/login.json", "cassettes/test_it/test_one.json"}
    run(project).assert_outcomes(passed=1)
    assert service.asked == 2


def test_further_cassettes_are_only_read(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it="""
        import os, httpx, pytest

        @pytest.mark.cassette("shared")
        def test_shared():
            httpx.get(os.environ["SERVICE"] + "/number")

        @pytest.mark.cassette("own", "shared")
        def test_own():
            httpx.get(os.environ["SERVICE"] + "/number")
            httpx.post(os.environ["SERVICE"] + "/echo", content=b"1")
    """)
    run(project, "--cassettes=fill", "-k", "shared").assert_outcomes(passed=1, deselected=1)
    shared = (project.path / "cassettes/shared.json").read_bytes()
    run(project, "--cassettes=fill").assert_outcomes(passed=2)
    assert (project.path / "cassettes/shared.json").read_bytes() == shared
    assert service.asked == 2
    run(project).assert_outcomes(passed=2)


def test_recording_under_xdist_is_refused_with_the_serial_command(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE)
    result = run_apart(project, "--cassettes=fill", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*recording is serial*", "*next: pytest *--cassettes=fill*-n 0*"])
    assert service.asked == 0


def test_a_mark_that_records_is_refused_in_a_worker(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE.replace("mark.cassette", "mark.cassette(mode='fill')"))
    result = run_apart(project, "-n", "1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*recording is serial*"])
    assert service.asked == 0


def test_replay_under_xdist(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE + "\n".join(f"""
    @pytest.mark.cassette
    def test_more_{n}():
        assert httpx.post(os.environ["SERVICE"] + "/echo", json={n}).json() == {n}
    """ for n in range(6)))
    run(project, "--cassettes=fill").assert_outcomes(passed=7)
    asked = service.asked
    run_apart(project, "-n", "2", "--cassettes-json=figures.json").assert_outcomes(passed=7)
    assert service.asked == asked
    totals = json.loads((project.path / "figures.json").read_text())["totals"]
    assert (totals["played"], totals["missed"], totals["live"]) == (7, 0, 0)


def test_hits_alone_are_no_news(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=ONE)
    recorded = run(project, "--cassettes=fill")
    recorded.stdout.fnmatch_lines(["cassettes: 0 played, 1 recorded, 1 live"])
    assert "cassettes:" not in run(project).stdout.str()


def test_what_was_recorded_and_is_not_asked_for_fails_on_request(project: pytest.Pytester) -> None:
    text = ONE + '        {more}httpx.get(os.environ["SERVICE"] + "/number")\n'
    project.makepyfile(test_it=text.format(more=""))
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    project.makepyfile(test_it=text.format(more="0 and ").replace("mark.cassette", "mark.cassette(unplayed='fail')"))
    result = run(project)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*1 recorded interaction(s) were not played*"])


def test_settings_stand_in_pyproject(project: pytest.Pytester, service: Service) -> None:
    project.makepyprojecttoml('[tool.respool.cassettes]\nfolder = "tapes"\nignore_query = ["ts"]\n')
    project.makepyfile(test_it="""
        import os, httpx, pytest

        @pytest.mark.cassette
        def test_one():
            ts = len(os.listdir(os.path.dirname(__file__)))
            httpx.get(os.environ["SERVICE"] + f"/number?ts={ts}")
    """)
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    assert (project.path / "tapes/test_it/test_one.json").is_file()
    run(project).assert_outcomes(passed=1)
    assert service.asked == 1


def test_an_unknown_setting_is_named_with_its_file(project: pytest.Pytester) -> None:
    project.makepyprojecttoml('[tool.respool.cassettes]\nignore_querry = ["ts"]\n')
    project.makepyfile(test_it=ONE)
    result = run(project)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*has no setting 'ignore_querry'*", "*pyproject.toml*", "*did you mean ignore_query?*"])


def test_a_damaged_cassette_is_named_and_left_alone(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE)
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    path = project.path / "cassettes/test_it/test_one.json"
    path.write_bytes(path.read_bytes()[:-40])
    damaged = path.read_bytes()
    for mode in ("replay", "fill"):
        result = run(project, f"--cassettes={mode}")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*CassetteUnreadable*"])
        assert path.read_bytes() == damaged
    assert service.asked == 1


def test_the_plugin_loads_no_client_and_nothing_heavy(project: pytest.Pytester) -> None:
    project.makepyfile(test_it="""
        import sys

        def test_one():
            heavy = {"httpx", "requests", "urllib3", "aiohttp", "yaml", "rich", "click", "respool.cassette.deck"}
            assert heavy & set(sys.modules) == set()
    """)
    run_alone(project).assert_outcomes(passed=1)


@pytest.mark.parametrize("kind", ["async def", "class"])
def test_kinds_of_tests(project: pytest.Pytester, service: Service, kind: str) -> None:
    body = {
        "class": """
            class TestIt:
                def test_one(self, cassette):
                    httpx.get(os.environ["SERVICE"] + "/number")
                    assert cassette.played + cassette.recorded == 1
        """,
        "async def": """
            def test_one():
                import asyncio

                async def call():
                    async with httpx.AsyncClient() as client:
                        await client.get(os.environ["SERVICE"] + "/number")

                asyncio.run(call())
        """,
    }[kind]
    project.makepyfile(test_it="import os, httpx, pytest\npytestmark = pytest.mark.cassette\n" + "\n".join(
        line[12:] for line in body.splitlines()))
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    run(project).assert_outcomes(passed=1)
    assert service.asked == 1
    assert len(list(Path(project.path).rglob("cassettes/**/*.json"))) == 1


def test_a_run_leaves_no_test_behind(project: pytest.Pytester) -> None:
    """Else the fixture would open the cassette of a test that has long ended."""
    project.makepyfile(test_it="""
        import pytest

        @pytest.fixture
        def broken():
            raise OSError("no service here")

        def test_passes(): ...
        def test_fails(): assert False
        def test_is_not_set_up(broken): ...
        @pytest.mark.skip
        def test_is_left_out(): ...
    """)
    before = list(RUNNING)
    run(project).assert_outcomes(passed=1, failed=1, errors=1, skipped=1)
    assert before == RUNNING


def test_values_that_mean_something_else_end_the_run(project: pytest.Pytester) -> None:
    """All of them at once, before anything runs; a text where a list is meant would be taken apart into its letters."""
    project.makepyfile(test_it="""
        import pytest

        @pytest.mark.cassette(ignore_query="ts")
        def test_text(): ...
        @pytest.mark.cassette(mode="fil")
        def test_mode(): ...
        @pytest.mark.cassette(3)
        def test_name(): ...
    """)
    result = run(project)
    result.assert_outcomes()
    result.stderr.fnmatch_lines([
        "*test_it.py::test_text*ignore_query='ts' is no list: ignore_query=?'ts'?*",
        "*test_it.py::test_mode*mode 'fil' is none of replay, fill, rerecord, bypass*",
        "*test_it.py::test_name*cassette(3): the name of a cassette is a text*",
    ])  # fmt: skip


def test_the_command_that_records_can_be_pasted(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a shell, where this run was started."""
    project.mkdir("tests")
    (project.path / "tests/test_it.py").write_text(
        "import httpx, os, pytest\n\n@pytest.mark.cassette\n@pytest.mark.parametrize('what', ['a b'])\n"
        "def test_one(what):\n    httpx.get(os.environ['SERVICE'])\n"
    )
    run(project).stdout.fnmatch_lines(["*next:*pytest --cassettes=fill 'tests/test_it.py::test_one?a b?'*"])
    monkeypatch.chdir(project.path / "tests")
    run(project).stdout.fnmatch_lines(["*next:*pytest --cassettes=fill 'test_it.py::test_one?a b?'*"])


def test_what_cannot_be_read_is_told_without_our_insides(project: pytest.Pytester, service: Service) -> None:
    project.makepyfile(test_it=ONE)
    path = project.path / "cassettes/test_it/test_one.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 1, "interactions": [{"req')
    for mode in ("replay", "fill", "rerecord"):
        result = run(project, f"--cassettes={mode}")
        assert result.parseoutcomes()["errors"] == 1
        result.stdout.fnmatch_lines(["*CassetteUnreadable*", "*where:*test_one.json, line 1, byte *", "*why:*it is no JSON*"])
        result.stdout.no_fnmatch_line("*def *")
        assert path.read_text() == '{"format": 1, "interactions": [{"req'


def test_notes_that_cannot_be_written_end_no_run(project: pytest.Pytester, service: Service) -> None:
    """A read-only checkout, say; also where warnings are errors."""
    project.makepyfile(test_it=ONE)
    run(project, "--cassettes=fill").assert_outcomes(passed=1)
    notes = project.path / ".respool/observed"
    for each in notes.iterdir():
        each.unlink()
    notes.rmdir()
    notes.write_text("in the way")
    result = run(project, "-W", "error")
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["respool: which test opened which cassette could not be kept: *"])
