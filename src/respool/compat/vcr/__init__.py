"""vcrpy's surface on our cassettes: `from respool.compat import vcr`, or as `vcr` itself (see `answer_to_vcr`)."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from respool.compat.vcr.config import VCR
from respool.compat.vcr.record_mode import RecordMode
from respool.compat.vcr.request import Request
from respool.errors import UsageError

__all__ = ["VCR", "Request", "answer_to_vcr", "default_vcr", "mode", "use_cassette"]
__version__ = "9.4.2"  # whose surface this is; suites compare it

mode = RecordMode
default_vcr = VCR()
use_cassette = default_vcr.use_cassette


def answer_to_vcr() -> None:
    """From now on `import vcr` (and `vcr.request`, `vcr.unittest`, …) finds this package.

    Raises UsageError where vcrpy itself was imported already.
    """
    there = sys.modules.get("vcr")
    if there is not None and there.__name__ != __name__:
        file = str(getattr(there, "__file__", ""))
        raise UsageError("vcrpy was imported before respool could answer to its name", where=file)
    for found in pkgutil.walk_packages(__path__, __name__ + "."):
        if not found.name.endswith("yamlserializer"):  # needs PyYAML, and is loaded when it is asked for
            importlib.import_module(found.name)
    for name, module in list(sys.modules.items()):
        if name == __name__ or name.startswith(__name__ + "."):
            sys.modules["vcr" + name.removeprefix(__name__)] = module
