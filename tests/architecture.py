"""The architecture of docs/architecture.md as tables and rules over the syntax tree; test_architecture.py applies them.

A rule is a function that takes one Source and yields (line, complaint). FLOORS places every module of the whole design,
those not written yet included. ALLOWED is the one table of who may do what a rule otherwise forbids, with the reason.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

FLOORS: dict[int, str] = {
    0: "errors phrases clock canonical files findings config pace sliding_log retry_after",
    1: "cassette cassette/model cassette/matching cassette/keys cassette/urls cassette/bodies cassette/jsonpath "
    "cassette/redaction cassette/redaction/* cassette/leaks cassette/leaks/patterns cassette/cleaning cassette/nearest "
    "cassette/differences cassette/index cassette/deck cassette/drift cassette/drift/json_paths cassette/drift/text "
    "cassette/drift/report cassette/drift/volatile cassette/codings cassette/stored_frames cassette/body_forms "
    "cassette/json_places cassette/tape cassette/mapping cassette/mapping/literal_paths cassette/mapping/reading "
    "cassette/mapping/option_values cassette/upkeep "
    "batch batch/model batch/policy batch/declaration batch/settle batch/blocks "
    "batch/reconcile",
    2: "cassette/format cassette/foreign cassette/foreign/* cassette/library cassette/placing cassette/naming "
    "cassette/drift/page cassette/mapping/wanted_names cassette/mapping/scan cassette/mapping/observed "
    "cassette/upkeep/checks cassette/upkeep/fixes cassette/upkeep/age cassette/upkeep/pruning cassette/upkeep/remains "
    "cassette/upkeep/settings cassette/upkeep/stats cassette/upkeep/baseline cassette/upkeep/beside "
    "cassette/leaks/second_opinion "
    "batch/places batch/store batch/store_* batch/store/* batch/migrations batch/upkeep batch/repairs batch/backup_folder "
    "batch/notes batch/sources batch/submission batch/forecast batch/digests batch/documents",
    3: "cassette/upkeep/upstream cassette/upkeep/recorded_from cassette/open_decks cassette/throttle cassette/staging "
    "cassette/clients cassette/clients/* cassette/guard cassette/hosts cassette/hosts/* "
    "batch/tasks batch/context batch/execute batch/workers batch/workers/* batch/rehearsal batch/course batch/courses "
    "batch/snapshot batch/report batch/resolving batch/adopt batch/expansion batch/intray batch/patience batch/planning "
    "batch/runner batch/runner_* batch/runner/* batch/attended",
    4: "cassette/recording compat compat/vcr compat/vcr/* batch/spool respool",
    5: "rerecord rerecord/* clusters clusters/* summaries summaries/* doctor library_doctor",
    6: "pytest_plugin pytest_plugin/* cli cli/* web web/*",
}

SHIM = "part of the shim, a program of its own that must start without loading respool"

# rule → place (a path in src/respool, * matches anything) → why it may
ALLOWED: dict[str, dict[str, str]] = {
    "floors": {
        "__init__.py → batch": "the public names are gathered from both halves' façades",
        "__init__.py → cassette": "the public names are gathered from both halves' façades",
        "compat/vcr/* → cassette": "vcrpy's surface is a second face of recording.py",
        "doctor.py → *": "the doctor dispatches the diagnoses of everyone",
        "summaries/* → clusters": "what is summarised are clusters, and their Record is the base of what is kept",
        "cli/* → web": "`respool serve` starts the web door",
    },
    "dynamic imports": {
        "__init__.py": "public names are loaded at first use, so that `import respool` stays light",
        "batch/tasks.py": "a task is named by its import path",
        "compat/vcr/__init__.py": "answers to another package's name, with all of its modules",
        "cassette/clients/__init__.py": "an adapter is loaded when its client is",
        "cassette/hosts/__init__.py": "a mocking library is known when one of its mocks is given",
    },
    **{rule: {} for rule in ("pure", "sql", "size", "forbidden names", "docstring")},
    "sqlite": {"batch/store*": "owns the database", "batch/migrations.py": "changes its schema"},
    "connection statements": {"batch/store*": "owns the connection", "batch/migrations.py": "opens copies of it"},
    "clients": {"cassette/clients/*": "one adapter per client", "cassette/hosts/*": "plays inside other libraries"},
    "workers": {
        "batch/workers/*": "the one place that starts threads and processes",
        "rerecord/programs.py": "the tests of a unit, started in the unit's own program; and the project's probe",
        "cassette/upkeep/upstream.py": "asks the command that a project declares for the version of its service",
        "batch/attended.py": "the engine thread of Spool.run inside a running loop",
    },
    "signals": {
        "cli/*": "owns the main thread of the program",
        "batch/attended.py": "Spool.run owns the main thread of the caller's program",
        "batch/workers/supervisor.py": SHIM,
        "batch/workers/worker_process.py": "a program of its own: it leaves Ctrl-C to its runner",
    },
    "time": {
        "clock.py": "the one place that reads the time",
        "batch/workers/supervisor.py": SHIM,
        "batch/workers/process_table.py": f"start times of processes; {SHIM}",
    },
    "writing": {
        "files.py": "the one place that writes files",
        "batch/store*": "the store of batches",
        "batch/workers/supervisor.py": SHIM,
        "batch/workers/remains.py": "takes an attempt over by making its claim file, which must fail if it is there",
        "batch/workers/tail.py": f"a command's output file; {SHIM}",
    },
    "printing": {
        "cli/*": "the one door with a terminal",
        "rerecord/unit.py": "a program of its own: what it prints is kept with its attempt",
        "batch/workers/shim.py": SHIM,
        "batch/workers/supervisor.py": SHIM,
        "batch/workers/worker_process.py": "a program of its own: what it prints is the session's log",
    },
    "private names": {
        "batch/workers/supervisor.py": "the public modules over _signal and _blake2 cost 7 ms per item",
    },
}

PURE_BAN = "os pathlib sqlite3 socket random time asyncio logging subprocess shutil tempfile open input"
CLIENTS = "httpx httpcore requests urllib3 aiohttp niquests pycurl botocore boto3 grpc urllib.request http.client"
WORKERS = (
    "subprocess multiprocessing concurrent.futures distributed dask _thread pty threading.Thread "
    "threading.Timer asyncio.to_thread asyncio.create_subprocess_exec asyncio.create_subprocess_shell .run_in_executor "
    ".subprocess_exec .subprocess_shell os.fork os.forkpty os.system os.popen os.posix_spawn os.posix_spawnp os.execv "
    "os.execve os.execvp os.execvpe os.execl os.execle os.execlp os.execlpe os.spawnv os.spawnve os.spawnvp os.spawnl"
)
SIGNALS = (
    "signal.signal _signal.signal signal.setitimer signal.alarm signal.set_wakeup_fd signal.siginterrupt "
    "signal.pthread_sigmask .add_signal_handler .remove_signal_handler"
)
TIME = "time os.times .time datetime.datetime.now datetime.datetime.utcnow datetime.date.today"
WRITERS = (
    "tempfile shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.move shutil.copyfileobj os.truncate "
    "os.mkfifo logging.FileHandler logging.handlers .write_text .write_bytes .touch"
)
PRINTERS = "rich click print exit quit sys.exit sys.stdout sys.stderr sys.__stdout__ os._exit SystemExit"
FORBIDDEN_WORDS = {"util", "utils", "helper", "helpers", "manager", "managers", "core", "common"}
NAMED_TUPLE = {"_make", "_replace", "_asdict", "_fields"}  # public in spite of their looks

SQL = re.compile(
    r"\s*(select\s.*\sfrom\s|insert\s+(or\s+\w+\s+)?into\s|replace\s+into\s|update\s+\S+\s+set\s|delete\s+from\s"
    r"|(create|drop|alter)\s+(unique\s+|temp\s+|temporary\s+|virtual\s+)?(table|index|view|trigger)\s"
    r"|with\s+(recursive\s+)?\w+(\s*\([^)]*\))?\s+as\s*\()",
    re.DOTALL | re.IGNORECASE,
)
# Prose may start with "Update "; in capitals these words are a statement, or a part of one, by themselves.
SQL_WORD = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|VALUES|WHERE)\s")
CONNECTION = re.compile(
    r"\s*(PRAGMA\s+\w|BEGIN(\s+(IMMEDIATE|EXCLUSIVE|DEFERRED))?\s*;?\s*$|COMMIT\s*;?\s*$|ROLLBACK(\s|;|$)"
    r"|SAVEPOINT\s|RELEASE\s|VACUUM(\s|;|$)|ATTACH\s|DETACH\s|ANALYZE(\s|;|$)|REINDEX(\s|;|$))"
)

MAX_FILE, MAX_FUNCTION = 400, 60
Complaints = Iterator[tuple[int, str]]


@dataclass(frozen=True)
class Source:
    """One file of src/respool: its path there ("batch/model.py"), its text, and what can be read off its tree."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        """The place in FLOORS: "batch/model", "batch" for its __init__.py, "respool" for the package's own."""
        return self.path.removesuffix(".py").removesuffix("__init__").rstrip("/") or "respool"

    @cached_property
    def calls(self) -> list[ast.Call]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]

    @cached_property
    def imports(self) -> list[tuple[int, str, str | None]]:
        """Every import, lazy and typing ones too: (line, dotted module, name taken from it or None)."""
        found: list[tuple[int, str, str | None]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(node.lineno, self._absolute(node), alias.name) for alias in node.names]
            elif isinstance(node, ast.Call) and (name := dynamic_import(node)):
                found.append((node.lineno, name, None))
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = ["respool", *self.path.split("/")[:-1]]
        return ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])

    @cached_property
    def uses(self) -> list[tuple[int, str]]:
        """Every name that is imported or used, in full: `from threading import Thread as T; T()` uses threading.Thread.

        Attributes of values that are not modules appear as ".name".
        """
        names: dict[str, str] = {}  # as the file calls it → in full
        found = [(line, f"{module}.{name}" if name else module) for line, module, name in self.imports]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.split(".")[0]
                    names[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                names |= {alias.asname or alias.name: f"{self._absolute(node)}.{alias.name}" for alias in node.names}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and (node.id in names or hasattr(builtins, node.id)):
                found.append((node.lineno, names.get(node.id, node.id)))
            elif isinstance(node, ast.Attribute):
                found.append((node.lineno, f".{node.attr}"))
                if dotted := dotted_name(node):
                    root, _, rest = dotted.partition(".")
                    if root in names:
                        found.append((node.lineno, f"{names[root]}.{rest}"))
        return found

    @cached_property
    def texts(self) -> list[tuple[int, str]]:
        """Every text that is a value (docstrings and other bare texts are not; of an f-string its first fixed part)."""
        bare = {id(node.value) for node in ast.walk(self.tree) if isinstance(node, ast.Expr)}
        later = {
            id(part) for node in ast.walk(self.tree) if isinstance(node, ast.JoinedStr) for part in node.values[1:]
        }
        return [
            (node.lineno, node.value)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare | later
        ]


def floor_of(module: str) -> int | None:
    """The floor of a module, or None if FLOORS does not place it. A name without * wins over a pattern."""
    for match in (str.__eq__, fnmatchcase):
        for floor, places in FLOORS.items():
            if any(match(module, place) for place in places.split()):
                return floor
    return None


def dotted_name(node: ast.expr) -> str | None:
    """`a.b.c` as text, or None if it does not start with a plain name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def dynamic_import(node: ast.Call) -> str | None:
    """The module that import_module("x") or __import__("x") names; "" if only the running program knows."""
    if (dotted_name(node.func) or "").rpartition(".")[2] not in ("import_module", "__import__"):
        return None
    first = node.args[0] if node.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def forbidding(names: str, why: str) -> Callable[[Source], Complaints]:
    """A rule that forbids using any of `names` (dotted, or ".method") or what lies below them."""
    banned = set(names.split())

    def rule(source: Source) -> Complaints:
        for line, use in source.uses:
            parts = use.split(".")
            # ".name" has an empty first part, so that it only ever equals a banned ".name"
            if any(".".join(parts[: end + 1]) in banned for end in range(len(parts)) if parts[0] or end == 1):
                yield line, f"uses {use}: {why}"

    return rule


def pure(source: Source) -> Complaints:
    if floor_of(source.module) == 1:
        yield from forbidding(PURE_BAN, "floor 1 is pure, it computes and does nothing else")(source)


def dynamic_imports(source: Source) -> Complaints:
    for node in source.calls:
        if dynamic_import(node) == "":
            yield node.lineno, "imports a module whose name only the running program knows"


def sql(source: Source) -> Complaints:
    for line, text in source.texts:
        if SQL.match(text) or SQL_WORD.match(text):
            yield line, f"SQL text belongs into a .sql file: {text.strip()[:40]!r}"


def connection_statements(source: Source) -> Complaints:
    for line, text in source.texts:
        if CONNECTION.match(text):
            yield line, f"only the store opens connections and transactions: {text.strip()[:40]!r}"


def writing(source: Source) -> Complaints:
    yield from forbidding(WRITERS, "files.py writes files")(source)
    for node in source.calls:
        called = dotted_name(node.func) or (f".{node.func.attr}" if isinstance(node.func, ast.Attribute) else "")
        last = called.rpartition(".")[2]
        if last not in ("open", "fdopen") or called == "Database.open":  # a connection, not a file
            continue
        if called == "os.open":
            flags = {use.attr for use in ast.walk(node) if isinstance(use, ast.Attribute)}
            if flags & {"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"} or "O_RDONLY" not in flags:
                yield node.lineno, "os.open for writing: files.py writes files"
        elif may_write(node, position=0 if isinstance(node.func, ast.Attribute) and last == "open" else 1):
            yield node.lineno, f"{called} for writing: files.py writes files"


def may_write(call: ast.Call, position: int) -> bool:
    """Whether the mode of open() allows writing, or cannot be told. Path.open has its mode first, the others second."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    modes = named or call.args[position : position + 1]
    return bool(modes) and not (
        isinstance(modes[0], ast.Constant) and isinstance(modes[0].value, str) and not set(modes[0].value) & set("wax+")
    )


def size(source: Source) -> Complaints:
    lines = len(source.text.splitlines())
    if lines > MAX_FILE:
        yield lines, f"{lines} lines; {MAX_FILE} are allowed"
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION:
                yield node.lineno, f"{node.name} has {length} lines; {MAX_FUNCTION} are allowed"


def private_names(source: Source) -> Complaints:
    imported = {(line, f"{module}.{name}" if name else module) for line, module, name in source.imports}
    for line, use in source.uses:
        private = [part for part in use.split(".") if re.match(r"_(?!_)", part) and part not in NAMED_TUPLE]
        if private and ((line, use) in imported or use.startswith("respool.")):
            yield line, f"uses {use}, which is private to another file"


def forbidden_names(source: Source) -> Complaints:
    named = [(1, part) for part in source.path.removesuffix(".py").split("/")]
    named += [
        (node.lineno, node.name)
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    for line, name in named:
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)}
        if words & FORBIDDEN_WORDS:
            yield line, f"{name!r} says nothing; name it after what it does"


def docstring(source: Source) -> Complaints:
    if not ast.get_docstring(source.tree):
        yield 1, "the file does not say what it is for"


RULES: dict[str, Callable[[Source], Complaints]] = {
    "dynamic imports": dynamic_imports,
    "pure": pure,
    "sqlite": forbidding("sqlite3 _sqlite3 apsw aiosqlite", "only the store and its migrations talk to SQLite"),
    "sql": sql,
    "connection statements": connection_statements,
    "clients": forbidding(CLIENTS, "an HTTP client is imported by its own adapter only"),
    "workers": forbidding(WORKERS, "only batch/workers/ starts threads and processes"),
    "signals": forbidding(SIGNALS, "signal handlers belong to whoever owns the main thread"),
    "time": forbidding(TIME, "only clock.py reads the time"),
    "writing": writing,
    "printing": forbidding(PRINTERS, "only cli/ prints or exits"),
    "size": size,
    "private names": private_names,
    "forbidden names": forbidden_names,
    "docstring": docstring,
}


def complaints(rule: str, sources: list[Source]) -> Iterator[str]:
    """What `rule` says of all `sources`, those that ALLOWED names left out."""
    for source in sources:
        if not any(fnmatchcase(source.path, place) for place in ALLOWED[rule]):
            yield from (f"src/respool/{source.path}:{at}: {what}" for at, what in sorted(set(RULES[rule](source))))


def edges(sources: list[Source]) -> Iterator[tuple[Source, int, str]]:
    """Every import of one of our own modules by another: (source, line, place of the imported one in FLOORS)."""
    modules = {source.module for source in sources}
    for source in sources:
        for line, dotted, name in source.imports:
            if dotted.split(".")[0] != "respool":
                continue
            place = "/".join(dotted.split(".")[1:])
            inner = f"{place}/{name}".strip("/") if name else place
            target = inner if inner in modules else place or "respool"
            if target != source.module:
                yield source, line, target


def forbidden_edges(sources: list[Source]) -> Iterator[str]:
    """Imports that go up, or across to another house of the same floor, or between the two halves."""
    for source, line, target in edges(sources):
        here, there = floor_of(source.module), floor_of(target)
        where = f"src/respool/{source.path}:{line}: imports {target}"
        allowed = any(fnmatchcase(f"{source.path} → {_family(target)}", places) for places in ALLOWED["floors"])
        if here is None or there is None:
            yield f"{where}: place both in FLOORS of tests/architecture.py first"
        elif {_family(source.module), _family(target)} == {"cassette", "batch"}:
            yield f"{where}: the two halves do not know each other"
        elif there > here:
            yield f"{where}: from floor {here} up to floor {there}"
        elif there == here and _family(source.module) != _family(target) and not allowed:
            yield f"{where}: across floor {here}"


def _family(module: str) -> str:
    """Who belongs together on one floor: each half, the ground, and every product and door for itself."""
    return "ground" if floor_of(module) == 0 else module.split("/")[0]


def cycle(sources: list[Source]) -> list[str] | None:
    """A cycle of imports, or None."""
    graph = TopologicalSorter[str]()
    for source, _, target in edges(sources):
        graph.add(source.module, target)
    try:
        graph.prepare()
    except CycleError as error:
        return list(error.args[1])
    return None
