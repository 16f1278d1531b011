"""What counts as configured, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from respool.errors import UsageError
from respool.summaries.settings import KEYS, Model, Settings, is_key, is_local, load_settings

NAMES = [name for names in KEYS.values() for name in names]


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("value", ["", "  ", "changeme", "your-api-key", "<key>", "xxxxxxxx", "TODO", "None", "insert key"])
def test_a_placeholder_is_no_key(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", value)
    assert "GEMINI_API_KEY" in str(Settings(provider="google").missing())
    assert not is_key(value.strip())


@pytest.mark.parametrize(("variable", "provider"), [(name, provider) for provider, names in KEYS.items() for name in names])
def test_a_real_key_configures_its_provider(variable: str, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "AIzaSyA-0123456789")
    assert Settings(provider=provider).missing() is None
    assert Settings().generator().provider == provider  # it is found by its key


@pytest.mark.parametrize(("url", "local"), [
    ("http://localhost:11434/v1", True), ("http://127.0.0.1:8080/v1", True), ("http://[::1]:8000", True),
    ("http://192.168.1.20:8000/v1", True), ("http://ollama.local/v1", True), ("https://api.example.com/v1", False),
    ("https://10.example.com/v1", False), (None, False),
])  # fmt: skip
def test_a_local_address_needs_no_key(url: str | None, local: bool) -> None:
    assert is_local(url) is local
    if url is not None:
        assert (Settings(provider=url, model="m").missing() is None) is local


def test_a_remote_address_takes_the_key_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(provider="https://api.example.com/v1", model="m", key_env="EXAMPLE_KEY")
    assert "EXAMPLE_KEY" in str(settings.missing())
    monkeypatch.setenv("EXAMPLE_KEY", "k-0123456789")
    assert settings.missing() is None


def test_a_cassette_needs_no_key_but_must_be_there(tmp_path: Path) -> None:
    tape = tmp_path / "answers.json"
    assert "not there" in str(Settings(provider="openai", cassette=tape).missing())
    tape.write_text("{}")
    assert Settings(provider="openai", cassette=tape).missing() is None


def test_without_anything_it_says_what_is_missing() -> None:
    assert Settings().missing() == "no provider is configured"
    with pytest.raises(UsageError, match="provider"):
        Settings().generator()
    with pytest.raises(UsageError, match="no model"):
        Settings(provider="http://localhost/v1").generator()
    with pytest.raises(UsageError, match="'opnai' is not known"):
        Settings(provider="opnai").generator()


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:99999/v1", "http://host:port/v1"])
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    assert Settings(provider=url, model="m").missing() == f"the provider {url!r} is no URL that can be asked"
    assert "is no URL" in str(Settings(provider="openai", judge=f"{url}#m").missing())


def test_a_judge_is_another_model_of_any_provider() -> None:
    here = Settings(provider="openai", model="a", temperature=0.5)
    assert here.judging() is None
    judged = [Settings(provider="openai", model="a", judge=judge).judging() for judge in ("b", "google:g", "http://localhost/v1#c")]
    assert judged == [Model("openai", "b"), Model("google", "g"), Model("compatible", "c", "http://localhost/v1")]


def test_settings_are_read_from_the_project_and_options_win(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.respool.llm]\nprovider = "openai"\nmodel = "a"\ntimeout = "90s"\ncassette = "tapes/a.json"\nmax_cost = 2\n'
    )
    read = load_settings({"model": "b", "judge": None}, start=tmp_path)
    assert (read.provider, read.model, read.timeout, read.max_cost) == ("openai", "b", 90.0, 2)
    assert read.cassette == tmp_path / "tapes" / "a.json"


@pytest.mark.parametrize(("line", "says"), [
    ('modell = "x"', "did you mean model?"), ("max_tokens = 0", "at least 1"), ("strict = 1", "bool"),
    ('output = "xml"', "native"), ('timeout = "soon"', "timeout"), ("provider = 3", "text"), ("concurrency = true", "number"),
    ("max_cost = nan", "dollars"), ("max_cost = inf", "dollars"), ("temperature = -1", "at least 0"),
])  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.respool.llm]\n{line}\n")
    with pytest.raises(UsageError) as refused:
        load_settings(start=tmp_path)
    assert says in str(refused.value)
