"""The page for review: well-formed, self-contained, escaped, and nothing in it needs a mouse."""

from __future__ import annotations

from html.parser import HTMLParser

from respool.cassette.drift import Change, Drift, Field, Told
from respool.cassette.drift.json_paths import Example, PathChange
from respool.cassette.drift.page import Entry, page
from respool.cassette.drift.volatile import Proposal

EVIL = '<img src=x onerror=alert(1)> & "quoted" \x1b[31m\u202e'
PATHS = (PathChange(EVIL, "value", 9, (Example(EVIL, EVIL, EVIL),)),)
CHANGED = Drift(
    2, 2, (Told(1, EVIL),), (Told(2, EVIL),), (Told(1, EVIL),),
    (Change(1, 1, EVIL, (Field(EVIL, EVIL, EVIL),), PATHS, (f"+{EVIL}",)),),
    (Proposal(EVIL, "date", 1),),
)  # fmt: skip
EMPTY = {"meta", "br"}


class Reader(HTMLParser):
    """Gathers tags, attributes and text; fails on a tag that is not closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def test_all_text_is_escaped_and_nothing_steers() -> None:
    text = page(EVIL, [Entry(EVIL, CHANGED, EVIL), Entry("other", None, EVIL)])
    read = Reader(text)
    assert {tag for tag, _ in read.tags}.isdisjoint({"img", "script", "iframe", "object", "link", "form"})
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert read.text.count("<img src=x onerror=alert(1)>") >= 12
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = page("Drift", [Entry("a.json", CHANGED), Entry("b.json", CHANGED)])
    assert "http" not in text.replace("http-equiv", "")
    read = Reader(text)
    links = [attributes["href"] for tag, attributes in read.tags if tag == "a"]
    assert links == ["#c1", "#c2"]
    assert {attributes.get("id") for tag, attributes in read.tags if tag == "details"} == {"c1", "c2"}
    assert any("default-src 'none'" in (attributes.get("content") or "") for _, attributes in read.tags)


def test_it_is_in_light_and_dark_and_every_summary_opens_by_key() -> None:
    text = page("Drift", [Entry("a.json", CHANGED)])
    assert "prefers-color-scheme: dark" in text
    tags = [tag for tag, _ in Reader(text).tags]
    assert tags.count("summary") == tags.count("details") == 1
    assert all("tabindex" in attributes for tag, attributes in Reader(text).tags if tag == "pre")  # they can be wide


def test_cassettes_without_a_change_are_only_counted() -> None:
    entries = [Entry("same.json", Drift(1, 1)), Entry("a.json", CHANGED), Entry("kept.json", None, "tests failed")]
    read = Reader(page("Drift", entries))
    assert "same.json" not in read.text
    assert "3 cassettes: 1 changed, 1 without a change, 1 not compared" in read.text
    assert "tests failed" in read.text
