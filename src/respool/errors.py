"""Every error that respool raises, and the form of its message.

    RespoolError
    ├─ UsageError            the call itself is wrong; nothing was done
    │  └─ NothingMatches     what was selected fits nothing that is there
    ├─ CassetteError
    │  ├─ CassetteMissing    there is no such cassette
    │  ├─ CassetteUnreadable the file is no cassette, a newer one, or a broken one; it is never overwritten
    │  ├─ CassetteBusy       another process is recording it
    │  ├─ CassetteRefused    what was recorded may not be kept (a bad status, nothing recorded, a failed test)
    │  ├─ RequestNotRecorded no interaction on the tape answers this request
    │  ├─ NetworkBlocked     a connection was tried while the network was blocked (a RuntimeError too)
    │  └─ SecretFound        a secret would have been written; says where and which rule, never the secret
    ├─ BatchError
    │  ├─ TaskNotFound       no such module, function or command
    │  ├─ JobNotFound        no such job or item in this spool
    │  ├─ JobFailed          a job ended with failed items, and the caller asked to be told by an exception
    │  ├─ SpoolBusy          a live runner holds this spool
    │  ├─ SpoolUnreadable    the file is no spool, a newer one, or a broken one
    │  └─ SpoolUnwritable    the disk is full or the folder is read-only; what was committed is safe
    └─ TaskSignal            raised by the body of a task
       ├─ RetryLater         try this item again after a wait
       ├─ SkipItem           this item needs no work
       ├─ TryFailed          this try failed, and the task knows how
       └─ GiveUp             this item will never succeed; do not retry

A message says what happened, where, why, and the next command, in that order:

>>> print(JobNotFound("job 12 is not in this spool", where=".respool/spool.db", command="respool jobs list"))
job 12 is not in this spool
  where: .respool/spool.db
  next:  respool jobs list
"""

from __future__ import annotations


class RespoolError(Exception):
    """The base of every error of respool.

    `what` is one sentence with the offending value in it; `where`, `why` and `command` (what to type next) are
    optional lines below it. They stay readable as attributes.
    """

    def __init__(
        self, what: str, *, where: str | None = None, why: str | None = None, command: str | None = None
    ) -> None:
        super().__init__(what, where, why, command)
        self.what = what
        self.where = where
        self.why = why
        self.command = command

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.why:
            lines.append(f"  why:   {self.why}")
        if self.command:
            lines.append(f"  next:  {self.command}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive pickling by themselves, and ours cross process pools.
        return (_rebuild, (type(self), self.what, self.where, self.why, self.command))


def _rebuild(
    cls: type[RespoolError], what: str, where: str | None, why: str | None, command: str | None
) -> RespoolError:
    error = cls.__new__(cls)
    RespoolError.__init__(error, what, where=where, why=why, command=command)
    return error


class UsageError(RespoolError):
    """The call is wrong: an option, a specification, an item. Nothing was done."""


class NothingMatches(UsageError):
    """A selection, of tests or cassettes, that fits nothing that is there."""


class CassetteError(RespoolError):
    """The base of errors of the cassette half. It stands in no HTTP client's hierarchy: no retry loop swallows it."""


class CassetteMissing(CassetteError):
    """No cassette is at that path, and the mode does not record."""


class CassetteUnreadable(CassetteError):
    """The file is not a cassette, is newer than this program, or is damaged. It is never overwritten.

    `where` holds the path and, where known, the offset (bytes) or the line of the damage.
    """


class CassetteBusy(CassetteError):
    """Another process holds the cassette for recording."""


class CassetteRefused(CassetteError):
    """The recording as a whole is not kept; the cassette on disk stays as it was."""


class RequestNotRecorded(CassetteError):
    """No interaction on the tape answers this request (any more); the message shows the nearest one."""


class NetworkBlocked(CassetteError, RuntimeError):
    """A connection to a host that is not allowed, tried while the network was blocked."""


class SecretFound(CassetteError):
    """A secret would have been written to a cassette. The message names the place and the rule, never the secret."""


class BatchError(RespoolError):
    """The base of errors of the batch half."""


class TaskNotFound(BatchError):
    """A task's module, function or program does not exist."""


class JobNotFound(BatchError):
    """No job, or no item, of that name or number is in the spool."""


class JobFailed(BatchError):
    """A job ended with failed items (only raised by calls that promise to raise it)."""


class SpoolBusy(BatchError):
    """A live runner holds the spool; the message names it and says since when."""


class SpoolUnreadable(BatchError):
    """The spool's file is not ours, is newer than this program, or is damaged. It is never overwritten."""


class SpoolUnwritable(BatchError):
    """The spool cannot be written now (disk full, read-only, locked by a foreign program). Nothing committed is lost."""


class TaskSignal(RespoolError):
    """Raised inside a task to say how its item stands; never shown as a failure of respool."""


class RetryLater(TaskSignal):
    """Try this item again, not before `after` seconds from now. Uses none of the item's attempts, only its waiting cap.

    >>> RetryLater(30).after
    30.0
    """

    def __init__(self, after: float, reason: str = "asked to be tried later") -> None:
        super().__init__(reason)
        self.after = float(after)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.after, self.what))


class SkipItem(TaskSignal):
    """This item needs no work; `reason` is kept and shown."""

    def __init__(self, reason: str = "skipped by the task") -> None:
        super().__init__(reason)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.what,))


class TryFailed(TaskSignal):
    """This try failed, and the task knows how: `kind` is one of the words of batch/model.py's Kind, which decides what
    follows. `retry_after` are seconds that the service asked for.

    >>> TryFailed("truncated", "the answer was cut at 800 tokens").kind
    'truncated'
    """

    def __init__(self, kind: str, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.kind, self.retry_after = kind, retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.kind, self.what, self.retry_after))


class GiveUp(TaskSignal):
    """This item can never succeed: fail it now, whatever is left of its retry budget."""

    def __init__(self, reason: str = "given up by the task") -> None:
        super().__init__(reason)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.what,))
