"""Files that are old or new and never half, folders that are private, locks that die with their holder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respool.files import (
    FileLock,
    file_digest,
    give_back,
    ignore_in_git,
    network_file_system,
    private_folder,
    remove_tree,
    reserve,
    scratch_file,
    write_atomic,
)  # fmt: skip

HOLD = """
import sys
from pathlib import Path
from respool.files import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.acquire(holder={"pid": "me"})
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("data", [b"\x00\xff", "text é\n", b""])
def test_a_file_is_replaced_whole_and_private(tmp_path: Path, data: bytes | str, durable: bool) -> None:
    path = tmp_path / "state.json"
    path.write_text("what was there before, and longer")
    write_atomic(path, data, durable=durable)
    assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_atomic(path, data, mode=0o644, durable=durable)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [path.name] == os.listdir(tmp_path)


def test_who_has_the_old_file_open_goes_on_reading_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_atomic(path, "old")
    with path.open() as reader:
        write_atomic(path, "new")
        assert (reader.read(), path.read_text()) == ("old", "new")


@pytest.mark.parametrize("limit", [0, 5])
def test_a_full_disk_leaves_the_old_file_and_no_scraps(tmp_path: Path, limit: int) -> None:
    """A real limit on the size of files, in a process of its own."""
    (tmp_path / "f").write_text("old")
    code = f"""
import resource, signal, sys
from pathlib import Path
from respool.files import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    write_atomic(Path(sys.argv[1]), "new and too long")
except OSError:
    raise SystemExit(7)
"""
    done = subprocess.run([sys.executable, "-B", "-c", code, str(tmp_path / "f")], timeout=60, check=False)
    assert done.returncode == 7
    assert ((tmp_path / "f").read_text(), os.listdir(tmp_path)) == ("old", ["f"])


def test_a_folder_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "none" / "f", "x")
    assert os.listdir(tmp_path) == []


@given(st.binary(max_size=100), st.sampled_from([0, 1, (1 << 20) - 1, 1 << 20]))
def test_a_digest_is_of_the_whole_content(tmp_path_factory: pytest.TempPathFactory, tail: bytes, filler: int) -> None:
    path = tmp_path_factory.getbasetemp() / "digested"
    path.write_bytes(b"x" * filler + tail)
    assert file_digest(path) == blake2b(b"x" * filler + tail, digest_size=16).hexdigest()


def test_folders_are_private_and_those_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    made = private_folder(tmp_path / "a" / "b")
    assert made == tmp_path / "a" / "b"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    open_one = tmp_path / "open"
    open_one.mkdir()
    open_one.chmod(0o755)
    assert stat.S_IMODE(private_folder(open_one).stat().st_mode) == 0o755
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        private_folder(tmp_path / "file")
    remove_tree(tmp_path / "a")
    remove_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_git_ignores_a_folder_of_ours_and_a_users_own_rule_stays(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "repo" / ".respool")
    subprocess.run(["git", "init", "-q", str(folder.parent)], check=True)
    (folder / "spool.db").touch()
    ignore_in_git(folder)
    status = ["git", "-C", str(folder.parent), "status", "--porcelain", "-uall"]
    assert subprocess.run(status, capture_output=True, text=True, check=True).stdout == ""
    (folder / ".gitignore").write_text("mine\n")
    ignore_in_git(folder)
    assert (folder / ".gitignore").read_text() == "mine\n"


def test_a_scratch_file_has_no_name_and_is_gone_when_closed() -> None:
    with scratch_file() as file:
        file.write(b"text")
        file.seek(0)
        assert file.read() == b"text"
        assert os.fstat(file.fileno()).st_nlink == 0


def mounts(tmp_path: Path, *mounted: tuple[Path, str]) -> Path:
    """A table of mounts as the kernel writes it: blanks and backslashes in octal."""
    table = tmp_path / "mounts"
    lines = ["/dev/root / ext4 rw 0 0", "short"]
    for point, kind in mounted:
        point.mkdir(parents=True, exist_ok=True)
        name = str(point)
        for character in "\\ \t":
            name = name.replace(character, f"\\{ord(character):03o}")
        lines.append(f"server:/x {name} {kind} rw 0 0")
    table.write_text("\n".join(lines) + "\n")
    return table


@pytest.mark.parametrize("name", ["data", "two words", "données", "a\\b"])
@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_network_file_systems_are_known_by_their_mount(tmp_path: Path, name: str, kind: str) -> None:
    point, beside = tmp_path / name, tmp_path / f"{name}er"
    beside.mkdir()
    table = mounts(tmp_path, (point, kind))
    assert network_file_system(point, mounts=table) == kind
    assert network_file_system(point / "not" / "there" / "yet", mounts=table) == kind
    assert network_file_system(beside, mounts=table) is None, "another folder that begins alike"
    (tmp_path / "link").symlink_to(point)
    assert network_file_system(tmp_path / "link" / "x", mounts=table) == kind


def test_the_innermost_and_latest_mount_decides(tmp_path: Path) -> None:
    outer, inner = tmp_path / "srv", tmp_path / "srv" / "local"
    table = mounts(tmp_path, (outer, "nfs"), (inner, "ext4"))
    assert network_file_system(outer / "other", mounts=table) == "nfs"
    assert network_file_system(inner / "x", mounts=table) is None
    assert network_file_system(outer, mounts=mounts(tmp_path, (outer, "nfs"), (outer, "ext4"))) is None
    assert network_file_system(outer, mounts=tmp_path / "no such table") is None
    assert network_file_system(tmp_path) is None, "the tests themselves run on a local disk"


# ── locks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds `tmp_path / "lock"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_dies_with_its_holder_however_it_dies(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    lock = FileLock(tmp_path / "lock")
    assert not lock.acquire()
    assert not lock.held
    assert not lock.is_free()
    assert lock.holder() == {"pid": "me"}
    holder.send_signal(signal.SIGKILL)
    holder.wait(30)
    assert lock.is_free()
    assert lock.acquire(holder={"pid": 1})
    assert lock.holder() == {"pid": 1}, "the shorter text leaves nothing of the longer one"
    lock.release()


def test_the_wait_for_a_lock_ends_when_it_is_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.close()
    with FileLock(tmp_path / "lock").hold():
        assert not FileLock(tmp_path / "lock").acquire()
    assert FileLock(tmp_path / "lock").is_free()


def test_taking_and_giving_back_twice_is_harmless(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.is_free(), "nobody holds what was never made"
    assert lock.acquire()
    assert lock.acquire()
    assert not lock.is_free()
    lock.release()
    lock.release()
    assert not lock.held
    assert lock.is_free()
    assert stat.S_IMODE(lock.path.stat().st_mode) == 0o600


def test_a_program_that_is_started_does_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        assert lock.is_free()
        child.kill()


def test_a_forked_child_neither_holds_nor_keeps_the_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(there, b"held" if lock.held else b"free")
        signal.pause()
    try:
        assert os.read(here, 4) == b"free"
        assert lock.held
        assert not lock.is_free(), "the child's end of it is not the end"
        lock.release()
        assert lock.is_free(), "nor does the child keep it"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(here)
        os.close(there)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"7"])
def test_what_a_holder_wrote_is_information_only(tmp_path: Path, content: bytes) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.holder() == {}
    lock.path.write_bytes(content)
    assert lock.holder() == {}
    assert lock.is_free()


def test_a_block_that_raises_gives_the_lock_back(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with pytest.raises(KeyError), lock.hold():
        raise KeyError
    assert lock.is_free()


def test_a_reserve_takes_the_disk_and_gives_it_back(tmp_path: Path) -> None:
    place = tmp_path / "files" / "reserve"
    assert reserve(place, 1 << 20)
    assert reserve(place, 1 << 20), "one that a killed run has left is taken over"
    assert place.stat().st_blocks * 512 >= 1 << 20, "really taken: no hole"
    give_back(place)
    give_back(place)
    assert not place.exists()


def test_a_reserve_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    code = "from pathlib import Path; from respool.files import reserve; print(reserve(Path('reserve'), 1 << 20))"
    limited = ["prlimit", "--fsize=65536", sys.executable, "-c", code]
    assert subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "False\n"
    assert not list(tmp_path.iterdir())
