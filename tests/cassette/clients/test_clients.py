"""Clients are hooked when their users import them, once, and by nobody's import of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
START = """
import sys, warnings
warnings.simplefilter("error")
from respool.cassette import clients
clients.install()
"""
WHOLE = """
def ours(method): return hasattr(method, "respool_original")
def once(method): return ours(method) and not ours(method.respool_original)
"""


def python(code: str, *path: Path) -> str:
    """What a new interpreter prints."""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(each) for each in path]!r}\n{START}{WHOLE}{code}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_installing_imports_no_client() -> None:
    clients = "httpx httpcore httpx2 httpcore2 urllib3 requests aiohttp ssl asyncio"
    assert python(f"print(*(set(sys.modules) & set({clients!r}.split())))") == ""


def test_a_client_is_hooked_when_it_is_imported() -> None:
    code = "import requests, httpx, httpx2, urllib3; print(once(urllib3.HTTPConnectionPool._make_request),"
    code += "once(httpx.HTTPTransport.handle_request), once(httpx2.AsyncHTTPTransport.handle_async_request))"
    assert python(code) == "True True True"


def test_a_client_that_is_there_already_is_hooked_at_once() -> None:
    code = "clients.uninstall(); import httpx; print(ours(httpx.HTTPTransport.handle_request));"
    code += "clients.install(); clients.install(); print(once(httpx.HTTPTransport.handle_request))"
    assert python(code).split() == ["False", "True"]


def test_what_is_hooked_can_be_let_go() -> None:
    code = "import httpx, ssl; clients.uninstall(); print(ours(httpx.HTTPTransport.handle_request),"
    code += "'load_verify_locations' in vars(ssl.SSLContext),"
    code += "any(type(finder).__module__.startswith('respool') for finder in sys.meta_path))"
    assert python(code) == "False False False"


def test_a_module_loaded_anew_is_hooked_anew() -> None:
    code = "import urllib3.connectionpool as pool, importlib; importlib.reload(pool);"
    code += "print(once(pool.HTTPConnectionPool._make_request))"
    assert python(code) == "True"


def test_the_loader_is_left_as_it_was() -> None:
    """Sources, resources and tracebacks ask it."""
    code = "import httpx, inspect; loader = httpx.__spec__.loader; print(type(loader).__name__,"
    code += "vars(loader).keys() & {'exec_module'}, 'AsyncClient' in inspect.getsource(httpx))"
    assert python(code) == "SourceFileLoader set() True"


def test_httpx2_under_the_name_of_httpx() -> None:
    """alias_httpx() refuses where httpx was imported before; the same classes come by twice."""
    code = "import httpx2; httpx2.alias_httpx(); import httpx;"
    code += "print(httpx is httpx2, once(httpx.HTTPTransport.handle_request))"
    assert python(code) == "True True"


def test_a_class_that_comes_by_under_two_names_is_wrapped_once() -> None:
    code = "clients.uninstall(); import httpx2; httpx2.alias_httpx(); clients.install();"
    code += "print(once(httpx2.HTTPTransport.handle_request), once(httpx2.Client._transport_for_url))"
    assert python(code) == "True True"


def test_a_client_of_another_shape_is_told(tmp_path: Path) -> None:
    (tmp_path / "httpx.py").write_text("__version__ = '9.0'\nclass HTTPTransport: pass\n")
    code = "warnings.simplefilter('always'); warnings.showwarning = lambda message, kind, *_: print(kind.__name__, message);"
    told = python(code + "import httpx", tmp_path)
    assert "RuntimeWarning" in told
    assert "httpx 9.0" in told


@pytest.mark.parametrize("lacking", ["{}['middlewares']", "object().transports", "__import__('httpx.pools')"])
def test_whatever_it_lacks(lacking: str) -> None:
    """Not the user's import is what fails."""
    code = "warnings.simplefilter('always'); warnings.showwarning = lambda message, kind, *_: print(kind.__name__);"
    code += "from respool.cassette.clients import httpx as adapter;"
    told = python(code + f"adapter.patch = lambda module: {lacking}\nimport httpx; print(httpx.codes.OK.value)")
    assert told.split() == ["RuntimeWarning", "200"]


def test_an_import_that_fails_fails_as_before(tmp_path: Path) -> None:
    (tmp_path / "httpx.py").write_text("raise ValueError('broken')\n")
    code = "for _ in range(2):\n try: import httpx\n except ValueError as error: print(error)"
    assert python(code, tmp_path).split() == ["broken", "broken"]


@pytest.mark.parametrize(
    ("versions", "files", "selected"),
    [
        ("urllib3-1.26", "test_client_contract.py test_urllib3.py", "urllib3 or requests"),
        ("kits", "check_kits.py", "test"),
        ("uncovered", "check_uncovered.py", "test"),
        ("aiohttp-3.9", "test_client_contract.py", "aiohttp"),
        ("aiohttp-3.11", "test_client_contract.py", "aiohttp"),
        ("niquests", "test_client_contract.py check_niquests.py", "niquests or requests or urllib3"),
    ],
)
def test_with_other_packages(versions: str, files: str, selected: str) -> None:
    """In a process of their own, because they cannot stand beside those of this one; `make test` has installed them."""
    folder = Path(sys.prefix) / "clients" / versions
    assert folder.is_dir(), f"{folder} is missing; `make test` makes it"
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", selected]
    done = subprocess.run(
        [*pytest_, *(str(HERE / file) for file in files.split())],
        env={"PYTHONPATH": str(folder), "PATH": ""}, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
