"""The project's own text and Python files, for the checks of this folder."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What programs leave in the tree; hidden folders are skipped too.
SKIPPED_ANYWHERE = {"__pycache__"}
SKIPPED_AT_THE_TOP = {"build", "demo", "dist", "out", "runs", "venv"}
BINARY = {".png", ".jpg", ".gz", ".nrrd", ".mha", ".mrb", ".zip", ".dcm", ".pt", ".safetensors", ".pyc"}
KEPT_HIDDEN = {".ci"}


def project_files(below: Path = ROOT) -> Iterator[Path]:
    """Every file of the project below a folder, in order."""
    for folder, folders, names in os.walk(below):
        folders[:] = sorted(name for name in folders if not _skipped(Path(folder, name)))
        yield from (Path(folder, name) for name in sorted(names))


def _skipped(folder: Path) -> bool:
    hidden = folder.name.startswith(".") and folder.name not in KEPT_HIDDEN
    left_over = folder.name in SKIPPED_ANYWHERE or folder.name.endswith(".egg-info")
    return hidden or left_over or (folder.parent == ROOT and folder.name in SKIPPED_AT_THE_TOP)


def text_files() -> Iterator[Path]:
    """Every file of the project that holds text."""
    return (path for path in project_files() if path.suffix not in BINARY)


def python_files(below: Path = ROOT) -> Iterator[Path]:
    """Every Python file below a folder."""
    return (path for path in project_files(below) if path.suffix == ".py")


def imported_packages(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere in it; relative imports are its own package's: left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found.update(name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__", "optional_import"}:
                found.add(str(node.args[0].value).split(".")[0])
    return found
