"""``Testing/COMPLAINTS.md`` is complete, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTING = Path(__file__).resolve().parents[1]
ENTRY = re.compile(r"^### (\d+)\. (.+)$", re.MULTILINE)
TEST = re.compile(r"^- `([^`:]+)::([^`]+)`$", re.MULTILINE)
NUMBERS = range(1, 26)


def entries() -> dict[int, str]:
    """Number of each complaint to the text of its entry."""
    _before, *parts = ENTRY.split((TESTING / "COMPLAINTS.md").read_text(encoding="utf-8"))
    assert [int(number) for number in parts[::3]] == list(NUMBERS)
    return dict(zip(NUMBERS, parts[2::3], strict=True))


def functions(path: Path) -> set[str]:
    """Names of the tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("number", NUMBERS)
def test_every_complaint_has_a_source_an_answer_and_tests_that_exist(number):
    text = entries()[number]
    assert re.search(r"^Seen in: .+", text, re.MULTILINE) and re.search(r"^Answer: .+", text, re.MULTILINE)
    named = TEST.findall(text)
    assert named and text.count("\n- ") == len(named)
    missing = [f"{file}::{name}" for file, name in named if name not in functions(TESTING / file)]
    assert not missing
