"""What the shim does with one attempt, from the claim to the receipt. It runs in a process of its own (shim.py).

The shim is a session of its own, the command a process group of its own within that session. In the attempt's folder:

    spec        read: what to run (marshal; written by commands.py)
    started     "PID TICKS" of the command and, on a second line, of the shim; whoever makes this file owns the attempt
    output.log  stdout and stderr, the tail of at most `cap` bytes
    verdict.json  read: how the command says itself that it ended, if it does (verdict.py)
    result.json the receipt (receipt.py); an attempt without one has no outcome

SIGTERM asks it to end the command (TERM, grace, KILL). No import of json, hashlib, signal, typing or anything above
this folder: together they would triple the 10 ms that the shim costs.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` itself makes enums for 4 ms
import errno
import marshal
import os
import select
import sys
import time
from _blake2 import blake2b  # `hashlib` loads OpenSSL for 3 ms

from respool.batch.workers.process_table import group_size, signal_group, start_ticks
from respool.batch.workers.tail import Tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EX_TEMPFAIL = 75
LEEWAY = 0.2  # seconds in which what a finished command left running may end by itself (say, the tee of `> >(tee log)`)
TICK = 0.01
# Python ignores the first two, a script's `&` the others; none of that is the command's business.
DEFAULTS = (
    signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD,
)  # fmt: skip
# The machine has no room now; that is no fault of the command.
SCARCE = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM,
)  # fmt: skip
SCARCITY = 2.0  # seconds after which a command is tried again that there was no room for
# Nothing about a second try would change these.
HOPELESS = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOEXEC, errno.ELOOP, errno.E2BIG)


def claim(folder: str, shim: int) -> bool:
    """Make this attempt ours: create `started` with our identity in it, whole, if nobody else has."""
    me = os.getpid()
    temporary = f"{folder}/.started.{me}"
    with open(temporary, "w") as file:
        file.write(f"{me} {start_ticks(me) or 0}\n{shim} {start_ticks(shim) or 0}\n")
    try:
        os.link(temporary, f"{folder}/started")
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


def become(spec: dict[str, Any], folder: str, shim: int, output: int, errors: int) -> None:
    """In the forked child: claim the attempt, then turn into the command. Says on `errors` why it could not."""
    code = errno.EIO
    try:
        os.setpgid(0, 0)
        for number in DEFAULTS:
            signal.signal(number, signal.SIG_DFL)
        environment = dict(os.environ)
        if spec["drop_locale"]:
            environment.pop("LC_CTYPE", None)  # our own interpreter put it there (PEP 538)
        os.chdir(spec["cwd"])
        os.dup2(output, 1)
        os.dup2(output, 2)
        # The claim is the last thing before the command: whoever finds `started` finds in it what to end, and whoever
        # creates it first (the next runner, to give this attempt up) can be sure that nothing will run.
        if not claim(folder, shim):
            os.write(errors, b"0 claimed")
            os._exit(0)
        if spec["memory"]:
            import resource

            kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
            resource.setrlimit(kind, (spec["memory"], spec["memory"]))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(spec["argv"][0], spec["argv"], environment)
    except OSError as error:
        code = error.errno or code
        os.write(errors, f"{code} {error.strerror}".encode())
    except BaseException as error:
        os.write(errors, f"{code} {type(error).__name__}: {error}".encode())
    finally:
        os._exit(127)


class Supervisor:
    """Looks after one running command until nothing of it runs any more."""

    def __init__(self, spec: dict[str, Any], tail: Tail, folder: str) -> None:
        self.spec, self.tail, self.folder = spec, tail, folder
        self.asked_to_stop = False
        self.cause = ""  # why we ended the command: "", "timeout", "interrupted"
        self.status: int | None = None
        self.left_behind = 0
        self.seconds = 0.0
        self._kill_at: float | None = None
        self.wake, self._wake_write = os.pipe()
        for end in (self.wake, self._wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_asked)

    def _stop_asked(self, number: int, frame: object) -> None:
        self.asked_to_stop = True

    def watch(self, command: int, output: int) -> None:
        """Pump, wait, and end what must be ended. Returns when the command's process group is empty."""
        os.set_blocking(output, False)
        begun = time.monotonic()
        ended_at = 0.0
        open_ends = [self.wake, output]
        while True:
            now = time.monotonic()
            if self.status is None:
                pid, status = os.waitpid(command, os.WNOHANG)
                if pid:
                    self.status, ended_at, self.seconds = status, now, now - begun
                elif self.cause == "" and self.asked_to_stop:
                    self._end(command, "interrupted", now)
                elif self.cause == "" and self.spec["timeout"] and now - begun >= self.spec["timeout"]:
                    self._end(command, "timeout", now)
            if self.status is not None:
                size = group_size(command)
                if not size:
                    break
                if self._kill_at is None and now - ended_at >= LEEWAY:
                    self.left_behind = size
                    self._end(command, self.cause, now)
            if self._kill_at is not None and now >= self._kill_at:
                signal_group(command, signal.SIGKILL)
            for end in select.select(open_ends, [], [], self._patience(now, begun))[0]:
                if not self._drain(end):
                    open_ends.remove(end)
        if output in open_ends:
            self._drain(output)

    def _end(self, group: int, cause: str, now: float) -> None:
        self.cause = cause
        self._kill_at = now + self.spec["grace"]
        signal_group(group, signal.SIGTERM)
        signal_group(group, signal.SIGCONT)

    def _patience(self, now: float, begun: float) -> float | None:
        if self.status is not None or (self._kill_at is not None and now >= self._kill_at):
            return TICK
        if self._kill_at is not None:
            return self._kill_at - now
        return max(0.0, begun + self.spec["timeout"] - now) if self.spec["timeout"] else None

    def _drain(self, end: int) -> bool:
        """Read what is there (at most a few MB, so that a flood cannot keep the timeout waiting); False at the end."""
        for _ in range(64):
            try:
                data = os.read(end, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            if end != self.wake:
                self.tail.write(data)
        return True

    # -- judging --

    def outcome(self, before: dict[str, tuple[int, int, int] | None]) -> dict[str, Any]:
        """What the attempt came to, in the form of model.outcome_to_data."""
        notes = [self.tail.error] if self.tail.error else []
        if self.left_behind:
            notes.append(f"it left {self.left_behind} running process(es) behind; they were ended")
        note = "; ".join(notes)
        code = os.waitstatus_to_exitcode(self.status or 0)
        verdict = f"{self.folder}/verdict.json"
        fell_to_stop = self.asked_to_stop and -code in (signal.SIGTERM, signal.SIGKILL)
        if self.cause == "interrupted" or (fell_to_stop and self.cause == ""):
            return {"outcome": "interrupted", "reason": "asked to stop"}
        if self.cause == "timeout":
            return self._failed("timeout", f"still running after {self.spec['timeout']:g} s; ended", note)
        if code < 0:
            return self._failed("crashed", f"ended by {signal_name(-code)}", note)
        said: dict[str, Any] = {}
        if file_state(verdict) is not None:
            from respool.batch.workers.verdict import read_verdict  # 20 ms that only such a command pays for

            said = read_verdict(verdict)
            if said["outcome"] != "done":
                return said
        if code:
            return self._failed("unavailable" if code == EX_TEMPFAIL else "raised", f"exit code {code}", note)
        outputs, problem = self._outputs(before)
        if not self.tail.marker_seen:
            problem = f"exit code 0, but {self.spec['marker']!r} is not in its output"
        if problem:
            return self._failed("invalid", problem, note)
        result = {"exit_code": 0, "output": self.spec["output"], "seconds": round(self.seconds, 3)}
        if said:
            result["said"] = said["result"]
        return {"outcome": "done", "result": to_json(result), "outputs": outputs, "note": note or None}

    def _outputs(self, before: dict[str, tuple[int, int, int] | None]) -> tuple[list[list[object]], str]:
        found: list[list[object]] = []
        for name, path in self.spec["outputs"]:
            state = file_state(path)
            if state is None:
                return [], f"exit code 0, but {name!r} is not there"
            if state == before[path]:
                return [], f"exit code 0, but {name!r} was not written by this attempt"
            try:
                found.append([path, *content_digest(path)])
            except OSError as error:
                return [], f"exit code 0, but {name!r} cannot be read: {error.strerror}"
        return found, ""

    def _failed(self, kind: str, message: str, note: str) -> dict[str, Any]:
        return failed(kind, f"{message} ({note})" if note else message, detail=self.tail.last_lines())


def later(reason: str) -> dict[str, Any]:
    """A model.Later as data."""
    return {"outcome": "later", "after": SCARCITY, "reason": reason}


def failed(kind: str, message: str, *, final: bool = False, detail: str | None = None) -> dict[str, Any]:
    """A model.Failed as data."""
    return {
        "outcome": "failed", "kind": kind, "message": message, "retry_after": None, "final": final, "detail": detail,
    }  # fmt: skip


def signal_name(number: int) -> str:
    """SIGSEGV for 11."""
    names = [name for name in dir(signal) if name.startswith("SIG") and "_" not in name]
    return next((name for name in names if getattr(signal, name) == number), f"signal {number}")


def file_state(path: str) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; None if it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def receipt_of(spec: dict[str, Any], outcome: dict[str, Any]) -> bytes:
    """What `result.json` holds, in the form that receipt.py documents and reads."""
    return to_json({**spec["receipt"], "outcome": outcome, "digest": digest(to_json(outcome).encode())}).encode()


def write_receipt(folder: str, receipt: bytes, durable: bool) -> None:
    """Write `result.json`: whole, or not at all."""
    temporary = f"{folder}/.result.json.tmp"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(file, "wb") as stream:
        stream.write(receipt)
        stream.flush()
        if durable:
            os.fsync(file)
    os.replace(temporary, f"{folder}/result.json")
    if durable:
        place = os.open(folder, os.O_RDONLY)
        os.fsync(place)
        os.close(place)


def main(folder: str) -> int:
    """Run the attempt in `folder`. 0: there is a receipt; 1: somebody else has this attempt, nothing was run."""
    with open(f"{folder}/spec", "rb") as file:
        spec = marshal.loads(file.read())
    before = {path: file_state(path) for _, path in spec["outputs"]}
    try:
        tail = Tail(f"{folder}/output.log", spec["cap"], spec["marker"].encode())
    except OSError as error:
        os.write(1, receipt_of(spec, later(f"its output cannot be kept: {error.strerror}")))
        return 0
    supervisor = Supervisor(spec, tail, folder)
    output, output_write = os.pipe()
    errors, errors_write = os.pipe()
    # A SIGTERM between fork and exec waits, instead of being swallowed by a handler that the child inherited.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    shim = os.getpid()
    command = os.fork()
    if command == 0:
        become(spec, folder, shim, output_write, errors_write)
    os.close(output_write)
    os.close(errors_write)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    with open(errors, "rb") as stream:
        problem = stream.read().decode("utf-8", "replace")
    if problem:
        os.waitpid(command, 0)
        code, _, why = problem.partition(" ")
        if why == "claimed":
            return 1
        name = f"{spec['argv'][0]!r} in {spec['cwd']}"
        if int(code) in SCARCE:
            outcome = later(f"cannot start {name}: {why}")
        else:
            outcome = failed("raised", f"cannot start {name}: {why}", final=int(code) in HOPELESS)
    else:
        supervisor.watch(command, output)
        tail.close()
        outcome = supervisor.outcome(before)
    receipt = receipt_of(spec, outcome)
    try:
        write_receipt(folder, receipt, spec["durable"])
    except OSError as error:
        if error.errno not in SCARCE:
            raise
        # A full disk must not lose what the command came to: if the runner is still there, it reads it here.
        os.write(1, receipt)
    return 0


# -- JSON and digests as canonical.py and files.py give them; tests hold the two together --

ESCAPES = {code: f"\\u{code:04x}" for code in range(32)}
ESCAPES.update({ord(a): b for a, b in zip('"\\\b\f\n\r\t', ['\\"', "\\\\", "\\b", "\\f", "\\n", "\\r", "\\t"], strict=True)})


def to_json(value: Any) -> str:
    """The canonical JSON text of plain data."""
    if isinstance(value, str):
        return f'"{value.translate(ESCAPES)}"'
    if isinstance(value, dict):
        return "{" + ",".join(f"{to_json(key)}:{to_json(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(to_json, value)) + "]"
    return {None: "null", True: "true", False: "false"}[value] if value is None or value is True or value is False \
        else repr(value)  # fmt: skip


def digest(text: bytes) -> str:
    """`canonical.digest` of one part."""
    return str(blake2b(b"respool/1\0%d:" % len(text) + text, digest_size=16).hexdigest())


def content_digest(path: str) -> tuple[int, str]:
    """Size and digest of a file's content, the latter as files.file_digest gives it."""
    with open(path, "rb", buffering=0) as file:
        state, size = blake2b(digest_size=16), 0
        while chunk := file.read(1 << 20):
            state.update(chunk)
            size += len(chunk)
    return size, str(state.hexdigest())
