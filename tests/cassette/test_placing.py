"""How cassettes get to their places: whole or not at all, killed on the way too."""

from __future__ import annotations

import os
import resource
import signal
import stat
import time
from pathlib import Path

import pytest
from small_tapes import LARGE, bodies, program, project, said

from respool.cassette import format as cassette_format
from respool.cassette.library import Library
from respool.errors import CassetteRefused, CassetteUnreadable


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return project(tmp_path)


def test_side_files_come_and_go_with_what_names_them(library: Library) -> None:
    folder = library.folder / "a.bodies"
    library.save("a", said(LARGE, LARGE + b"1"))
    (first,) = [file for file in folder.iterdir() if file.read_bytes() == LARGE]
    library.save("a", said(LARGE))
    assert list(folder.iterdir()) == [first]
    first.write_bytes(b"edited")
    with pytest.raises(CassetteUnreadable, match=first.name):
        library.load("a")
    first.write_bytes(LARGE)
    library.save("a", said("small"))
    assert not folder.exists()


def test_a_file_keeps_its_mode_and_a_link_its_place(library: Library) -> None:
    path = library.save("a", said("one"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()
    path.chmod(0o640)
    link = library.folder / "b.json"
    link.symlink_to(path)
    library.save("b", said("two"))
    assert link.is_symlink()
    assert bodies(library.load("a")) == [b"two"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


SAVE = """
import sys
from respool.cassette.library import Library
from respool.cassette.model import Cassette, Interaction, Request, Response
library = Library(sys.argv[1])
print("ready", flush=True)
for turn in range(100_000):
    bodies = [b"%d" % turn, b"%d" % turn * 20_000]
    tape = tuple(Interaction(Request("GET", "http://a/"), Response(200, body=body)) for body in bodies)
    library.save("a", Cassette(tape))
"""


def test_a_kill_during_a_save_leaves_the_old_or_the_new(library: Library) -> None:
    library.save("a", said("0", "0" * 20_000))
    for turn in range(8):
        saver = program(SAVE, library.folder)
        assert saver.stdout is not None
        saver.stdout.readline()
        time.sleep(0.02 + 0.013 * turn)
        saver.send_signal(signal.SIGKILL)
        saver.communicate()
        small, large = bodies(library.load("a"))
        assert large == small * 20_000
    (library.folder / ".a.json.0123456789ab.tmp").touch()
    library.save("a", said("last"))
    assert [file.name for file in library.folder.iterdir()] == ["a.json"]


def staged(library: Library, *names: str, body: bytes | str = "new") -> Library:
    staging = library.staging("run")
    for name in names:
        staging.save(name, said(body))
    return staging


def test_a_swap_puts_all_in_place(library: Library) -> None:
    library.save("a", said("old"))
    library.save("x", said("untouched"))
    staging = staged(library, "a", "new/b", body=LARGE)
    assert library.swap(staging) == [library.folder / "a.json", library.folder / "new" / "b.json"]
    assert [bodies(library.load(name)) for name in library.list()] == [[LARGE], [LARGE], [b"untouched"]]
    library.save("a", said(LARGE + b"2"))
    library.swap(staging)
    assert len(list((library.folder / "a.bodies").iterdir())) == 1
    library.save("a", said("old"))
    library.swap(staging)
    library.restore("a")
    assert bodies(library.load("a")) == [b"old"]
    library.swap(staging, ["a.json"])
    assert bodies(library.load("a")) == [LARGE]


@pytest.mark.parametrize("broken", ["staged", "target"])
def test_a_swap_with_one_that_cannot_be_read_changes_nothing(library: Library, broken: str) -> None:
    library.save("a", said("old"))
    library.save("b", said("old"))
    staging = staged(library, "a", "b")
    (library if broken == "target" else staging).path("b").write_bytes(b"{")
    with pytest.raises(CassetteUnreadable):
        library.swap(staging)
    assert bodies(library.load("a")) == [b"old"]


DIE_AT = """
import os, signal, sys
from respool.cassette import placing
from respool.cassette.library import Library
put, left = placing._put_file, int(sys.argv[2])

def counted(path, data):
    global left
    if left == 0 and ".respool" not in str(path):
        os.kill(os.getpid(), signal.SIGKILL)
    left -= ".respool" not in str(path)
    put(path, data)

placing._put_file = counted
library = Library(sys.argv[1])
library.swap(library.staging("run"))
"""


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_swap_that_was_killed_is_carried_out_by_the_next_write(library: Library, moved: int) -> None:
    for name in "abc":
        library.save(name, said("old", LARGE))
    staged(library, "a", "b", "c", body=LARGE + b"new")
    killed = program(DIE_AT, library.folder, str(moved))
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert [len(library.load(name).interactions) for name in "abc"] == [1] * moved + [2] * (3 - moved)
    Library(library.folder).save("another", said("x"))
    assert [bodies(library.load(name)) for name in "abc"] == [[LARGE + b"new"]] * 3
    assert [len(list((library.folder / f"{name}.bodies").iterdir())) for name in "abc"] == [1, 1, 1]
    assert list((library.state() / "swaps").iterdir()) == []


def test_a_killed_swap_does_not_overwrite_what_was_changed_since(library: Library) -> None:
    for name in "ab":
        library.save(name, said("old"))
    staged(library, "a", "b")
    program(DIE_AT, library.folder, "1").communicate()
    by_hand = cassette_format.write(said("checked out")).data
    library.path("b").write_bytes(by_hand)
    assert Library(library.folder).recover() == [library.folder / "b.json"]
    assert bodies(library.load("a")) == [b"new"]
    assert library.path("b").read_bytes() == by_hand
    assert library.recover() == []


def test_of_what_is_recorded_in_staging_no_previous_version_is_kept(library: Library) -> None:
    staged = library.staging("run")
    staged.save("a", said("one"))
    staged.save("a", said("two"))
    assert not staged.previous("a").exists()
    library.save("a", said("one"))
    library.swap(staged)
    assert bodies(library.load(library.previous("a"))) == [b"one"]


def test_a_swap_into_a_folder_that_takes_no_file_names_it_and_begins_nothing(library: Library) -> None:
    library.save("a", said("one"))
    staged = library.staging("run")
    for name in ("a", "closed/b"):
        staged.save(name, said("new"))
    (library.folder / "closed").write_text("in the way")
    before = (library.folder / "a.json").read_bytes()
    with pytest.raises(CassetteRefused, match=r"the folder '.*/closed' cannot be written"):
        library.swap(staged)
    assert (library.folder / "a.json").read_bytes() == before
    assert not library.previous("a").exists(), "what was kept before is not lost to a swap that never was"
    assert not list((library.state() / "swaps").glob("*"))
    (library.folder / "closed").unlink()
    library.swap(staged)
    assert bodies(library.load("closed/b")) == [b"new"]


def test_a_swap_that_finds_no_room_leaves_nothing_to_be_carried_out_later(library: Library) -> None:
    staged = library.staging("run")
    staged.save("a", said("x" * 60_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(CassetteRefused, match="could not be written"):
            library.swap(staged)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((library.state() / "swaps").glob("*"))
    assert library.list() == []
    library.swap(staged)
    assert library.list() == ["a.json"]
