"""The table of exit codes: complete, and the page printed from it up to date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from respool import errors
from respool.batch.model import ItemState, Job
from respool.cli.exits import MEANINGS, Exit, exit_of_error, exit_of_jobs, exit_of_signal, page

PAGE = Path(__file__).parents[2] / "docs" / "exit-codes.md"

JOB = Job(
    id=1, name="j", task="t:f", version="1", settings={}, source={}, generation=1, created_at=0, updated_at=0,
    sealed_at=1, ended_at=1, paused_at=None, paused_reason=None, resume_at=None, cancelled_at=None, skipped_reason=None,
    parent=None, counts={ItemState.DONE: 2},
)  # fmt: skip


def test_the_page_is_printed_from_the_table() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m respool.cli.exits > docs/exit-codes.md"


def test_every_code_has_its_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError, 2), (errors.TaskNotFound, 2), (errors.JobNotFound, 3), (errors.SpoolBusy, 4),
        (errors.SpoolUnreadable, 5), (errors.SpoolUnwritable, 5), (errors.JobFailed, 1),
        (errors.BatchError, 6), (errors.RespoolError, 70),
    ],
)  # fmt: skip
def test_errors_have_codes(error: type[errors.RespoolError], code: int) -> None:
    assert exit_of_error(error("what")) == code


def test_what_can_still_be_finished_comes_before_what_failed() -> None:
    failed = replace(JOB, counts={ItemState.DONE: 1, ItemState.FAILED: 1})
    paused = replace(JOB, counts={ItemState.PENDING: 1}, paused_at=1)
    assert exit_of_jobs([JOB]) == 0
    assert exit_of_jobs([]) == 0
    assert exit_of_jobs([JOB, failed]) == 1
    assert exit_of_jobs([failed, paused]) == 6
    assert exit_of_jobs([failed], paused=[1]) == 6


def test_signals() -> None:
    assert [exit_of_signal(number) for number in (2, 15, 1)] == [130, 143, 143]
