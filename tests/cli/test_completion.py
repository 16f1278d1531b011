"""Completion scripts, and what they ask the program for."""

from __future__ import annotations

import pytest
from program import Folder


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(folder: Folder, shell: str) -> None:
    assert "_RESPOOL_COMPLETE" in folder.run("completion", shell, code=0).out


def test_another_shell_is_refused(folder: Folder) -> None:
    assert "tcsh" in folder.run("completion", "tcsh", code=2).err


@pytest.mark.parametrize(
    ("words", "index", "found"),
    [("respool ", "1", "jobs"), ("respool jobs ", "2", "retry"), ("respool run --par", "2", "--parallel")],
)
def test_what_a_shell_is_told(folder: Folder, words: str, index: str, found: str) -> None:
    env = {"_RESPOOL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": index}
    assert f"plain,{found}" in folder.run(env=env).out.splitlines()
