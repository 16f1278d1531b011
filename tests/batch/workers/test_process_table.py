"""Which processes there are, held against what psutil and the processes themselves say."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from respool.batch.workers.process_table import all_pids, group_size, process_facts, ps_start, signal_group, start_ticks

linux = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
NO_PID = 2**22 + 1  # above the highest number that Linux gives out


@pytest.fixture
def group() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child in a session of its own, and a second child there that has made a group of its own."""
    code = (
        "import os, sys; pid = os.fork(); other = os.fork() if pid else 0\n"
        "if pid and not other: os.setpgid(0, 0); print(flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        strangers = [pid for pid in all_pids() if (facts := process_facts(pid)) is not None and facts[1] == process.pid]
        yield process
        signal_group(process.pid, signal.SIGKILL)
        for pid in strangers:
            signal_group(pid, signal.SIGKILL)


@linux
def test_facts_are_the_ones_psutil_and_the_kernel_give() -> None:
    for pid in (os.getpid(), os.getppid()):
        facts = process_facts(pid)
        assert facts is not None
        assert facts[:2] == (os.getpgid(pid), os.getsid(pid))
        assert facts[2] == start_ticks(pid)
        boot = psutil.boot_time()
        assert abs(boot + facts[2] / os.sysconf("SC_CLK_TCK") - psutil.Process(pid).create_time()) < 2


@linux
def test_a_name_with_blanks_and_brackets_confuses_nobody() -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    folder = os.path.dirname(sleep)
    with subprocess.Popen(
        ["python3", "-c", "import sys; open('/proc/self/comm', 'w').write('a) Z (b 1'); print(flush=True); sys.stdin.read()"],
        executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        facts = process_facts(process.pid)
        assert facts is not None
        assert facts[:2] == (os.getpgrp(), os.getsid(0))
        process.kill()


def test_who_is_gone_or_dead_has_no_start() -> None:
    assert start_ticks(NO_PID) is None
    assert ps_start(NO_PID) is None
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_ticks(child.pid) is None, "a zombie cannot act any more"
    child.wait()


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")
def test_without_proc_ps_tells_the_same_start() -> None:
    assert abs((ps_start(os.getpid()) or 0) - psutil.Process().create_time()) <= 2


def test_a_groups_members_are_counted_until_the_last_is_gone(group: subprocess.Popen[bytes]) -> None:
    assert group.pid in all_pids()
    assert group_size(group.pid) == 2
    os.kill(group.pid, signal.SIGKILL)
    os.waitid(os.P_PID, group.pid, os.WEXITED | os.WNOWAIT)
    assert group_size(group.pid) == 1, "the child lives on, the zombie does not count"
    signal_group(group.pid, signal.SIGKILL)
    group.wait()
    deadline = time.monotonic() + 30
    while group_size(group.pid) and time.monotonic() < deadline:
        time.sleep(0.01)  # a signal that was sent has not yet been obeyed
    assert group_size(group.pid) == 0


def test_a_group_that_is_gone_takes_a_signal_without_complaint() -> None:
    signal_group(NO_PID, signal.SIGTERM)
    assert group_size(NO_PID) == 0
