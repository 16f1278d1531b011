"""Findings as SARIF 2.1.0, which code scanning services read."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from respool.cassette.upkeep.baseline import Entry
from respool.cassette.upkeep.checks import Spotted
from respool.findings import Severity

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}

RULES = {
    "CASSETTE_UNREADABLE": "A cassette cannot be read",
    "CASSETTE_LEAK": "A secret stands on a cassette",
    "CASSETTE_UNDECODABLE": "A body cannot be decoded, so nobody knows what is in it",
    "CASSETTE_STATUS": "An error status that no test expects is on a cassette",
    "CASSETTE_STALE": "A cassette is to be recorded again",
    "CASSETTE_UNDATED": "The age of a cassette is not known",
    "CASSETTE_ORPHAN": "No test names a cassette",
    "CASSETTE_MISSING": "The cassette of a test is not there",
    "CASSETTE_UNUSED": "No test plays an interaction of a cassette",
    "TEST_FILE_UNREADABLE": "A test file cannot be read",
    "BASELINE_EXPIRED": "An accepted finding was accepted until a day that is past",
    "BASELINE_IDLE": "An accepted finding is no longer found",
    "CASSETTE_UNTRACED": "It is not known what a cassette was recorded from",
    "UPSTREAM_UNKNOWN": "The version of a service is not known",
}
"""Every code of a check, with what it means."""


def sarif(found: Iterable[Spotted], accepted: Iterable[tuple[Spotted, Entry]]) -> dict[str, Any]:
    """One run of one tool; what a baseline accepts is there as suppressed, with its reason."""
    codes = list(RULES)
    results = [_result(each, codes) for each in found]
    for finding, entry in accepted:
        why = f"{entry.reason} (until {entry.expires})"
        results.append({
            **_result(finding, codes), "suppressions": [{"kind": "external", "status": "accepted", "justification": why}]
        })  # fmt: skip
    driver = {
        "name": "respool", "version": version("respool"),
        "rules": [{"id": code, "shortDescription": {"text": text}} for code, text in RULES.items()],
    }  # fmt: skip
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Spotted, codes: list[str]) -> dict[str, Any]:
    advice = f"\n{finding.advice}" if finding.advice else ""
    return {
        "ruleId": finding.code, "ruleIndex": codes.index(finding.code), "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.subject}: {finding.message}{advice}"},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": quote(finding.path), "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 1},
        }}],
        "partialFingerprints": {"respool/v1": finding.fingerprint},
    }  # fmt: skip
