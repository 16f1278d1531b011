"""vcrpy's mixin for unittest."""

from __future__ import annotations

import inspect
import os
import unittest
from typing import Any

from respool.compat.vcr.config import VCR


class VCRMixin:
    """Each test in a cassette of its own: cassettes/Class.test.yaml beside the module."""

    vcr_enabled = True

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        if self.vcr_enabled:
            used = self._get_vcr(**self._get_vcr_kwargs()).use_cassette(self._get_cassette_name())
            self.cassette = used.__enter__()
            self.addCleanup(used.__exit__, None, None, None)  # type: ignore[attr-defined]

    def _get_vcr(self, **kwargs: Any) -> VCR:
        kwargs.setdefault("cassette_library_dir", self._get_cassette_library_dir())
        return VCR(**kwargs)

    def _get_vcr_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        return kwargs

    def _get_cassette_library_dir(self) -> str:
        return os.path.join(os.path.dirname(inspect.getfile(self.__class__)), "cassettes")

    def _get_cassette_name(self) -> str:
        return f"{self.__class__.__name__}.{self._testMethodName}.yaml"  # type: ignore[attr-defined]


class VCRTestCase(VCRMixin, unittest.TestCase):
    """A TestCase with cassettes."""
