"""The files that Slicer packages, module by module: what lies on disk against what the CMakeLists name.

Slicer packages what ``MODULE_PYTHON_SCRIPTS`` and ``MODULE_PYTHON_RESOURCES`` name and nothing else, so both lists have
to follow the files.

Usage:  list_packaged_files.py [--check | --write]
        without an option it prints both lists of both modules
Exit:   0 the lists are right (or were written), 1 --check found a difference
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("AGUNETRSegment", "AGUNETRTrain")
SCRIPTS, RESOURCES = "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"
LEFT_OUT = {"__pycache__", "CMakeLists.txt"}


@dataclass(frozen=True)
class PackagedFiles:
    """What a module ships, as paths relative to its folder, in the order of its CMakeLists."""

    scripts: tuple[str, ...]
    resources: tuple[str, ...]


def files_on_disk(folder: Path) -> PackagedFiles:
    """The files below a module's folder, without caches, hidden files, builds and the CMakeLists."""
    paths = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file()
        and not any(
            part in LEFT_OUT or part.startswith(".") or part.endswith((".egg-info", ".pyc"))
            for part in path.relative_to(folder).parts
        )
    )
    main = Path(f"{folder.name}.py")
    scripts = [path for path in paths if path.suffix == ".py" and path != main]
    resources = [path.as_posix() for path in paths if path.suffix != ".py"]
    return PackagedFiles((main.as_posix(), *(path.as_posix() for path in scripts)), tuple(resources))


def _pattern(variable: str) -> re.Pattern[str]:
    return re.compile(rf"(set\({variable})\s*([^)]*)\)")


def files_in_cmake(folder: Path) -> PackagedFiles:
    """The files that the module's CMakeLists.txt names."""
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    lists = []
    for variable in (SCRIPTS, RESOURCES):
        found = _pattern(variable).search(text)
        if found is None:
            raise ValueError(f"{folder / 'CMakeLists.txt'} sets no {variable}")
        lists.append(tuple(found.group(2).replace("${MODULE_NAME}", folder.name).split()))
    return PackagedFiles(*lists)


def write_cmake(folder: Path, files: PackagedFiles) -> None:
    """Puts the two lists into the module's CMakeLists.txt and leaves the rest of it alone."""
    cmake = folder / "CMakeLists.txt"
    text = cmake.read_text(encoding="utf-8")
    for variable, names in ((SCRIPTS, files.scripts), (RESOURCES, files.resources)):
        spelt = ["${MODULE_NAME}.py" if name == f"{folder.name}.py" else name for name in names]
        block = f"set({variable}\n" + "".join(f"  {name}\n" for name in spelt) + "  )"
        text = _pattern(variable).sub(lambda _, block=block: block, text, count=1)
    cmake.write_text(text, encoding="utf-8", newline="\n")


def differences(folder: Path) -> list[str]:
    """One sentence for every file that is named and not there, there and not named, or named twice."""
    disk, cmake = files_on_disk(folder), files_in_cmake(folder)
    module, found = folder.name, []
    for here, there in ((disk.scripts, cmake.scripts), (disk.resources, cmake.resources)):
        found += [f"{module}/{name} is in no list of {module}/CMakeLists.txt" for name in here if name not in there]
        found += [f"{module}/CMakeLists.txt names {name}, which is not there" for name in there if name not in here]
        found += [f"{module}/CMakeLists.txt names {name} twice" for name in sorted(set(there)) if there.count(name) > 1]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Prints, checks or writes the lists; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="compare the lists with the files")
    choice.add_argument("--write", action="store_true", help="bring the lists up to date")
    options = parser.parse_args(arguments)

    found: list[str] = []
    for module in MODULES:
        folder = ROOT / module
        files = files_on_disk(folder)
        if options.write:
            write_cmake(folder, files)
        elif options.check:
            found += differences(folder)
        else:
            print(f"{module}\n  scripts", *files.scripts, sep="\n    ")
            print("  resources", *files.resources, sep="\n    ")
    if found:
        print(*found, "Bring the lists up to date with: make lists", sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
