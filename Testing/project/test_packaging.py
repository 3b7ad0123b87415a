"""What Slicer and pip package is what lies on disk."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import list_packaged_files as lists
import pytest
import tomllib
from source_tree import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", lists.MODULES)
def test_cmake_names_every_packaged_file_and_no_other(module):
    assert lists.differences(ROOT / module) == []


@pytest.mark.parametrize("module", lists.MODULES)
def test_every_module_has_what_slicer_looks_for(module):
    named = lists.files_in_cmake(ROOT / module)
    assert named.scripts[0] == f"{module}.py"
    assert {f"Resources/UI/{module}.ui", f"Resources/Icons/{module}.svg"} <= set(named.resources)
    cmake = (ROOT / module / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "WITH_GENERIC_TESTS" in cmake and "slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)" in cmake


def test_no_two_modules_ship_the_same_path():
    shipped = [set().union(*(files.scripts, files.resources)) for files in map(lists.files_on_disk, _module_folders())]
    assert not set.intersection(*shipped), "Slicer copies both modules into one folder: one would overwrite the other"


def test_no_script_beside_the_module_file():
    """Slicer takes every .py directly in a module's folder for a module."""
    for folder in _module_folders():
        assert [path.name for path in folder.glob("*.py")] == [f"{folder.name}.py"]


def _module_folders() -> list[Path]:
    return [ROOT / module for module in lists.MODULES]


@pytest.fixture
def small_module(tmp_path) -> Path:
    folder = tmp_path / "AGUNETRTrain"
    (folder / "Resources").mkdir(parents=True)
    (folder / "AGUNETRTrain.py").touch()
    (folder / "Resources" / "new.json").touch()
    shutil.copy(ROOT / "AGUNETRTrain" / "CMakeLists.txt", folder)
    return folder


def test_differences_are_found_and_mended(small_module):
    found = lists.differences(small_module)
    assert "AGUNETRTrain/Resources/new.json is in no list of AGUNETRTrain/CMakeLists.txt" in found
    assert any("AGUNETRTrainLib/__init__.py, which is not there" in sentence for sentence in found)

    lists.write_cmake(small_module, lists.files_on_disk(small_module))
    assert lists.differences(small_module) == []
    text = (small_module / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "slicerMacroBuildScriptedModule(" in text and "if(BUILD_TESTING)" in text


def test_the_extension_builds_both_modules():
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"project\((\w+)\)", cmake).group(1) == "AGUNETR"
    assert re.findall(r"add_subdirectory\((\w+)\)", cmake) == list(lists.MODULES)


def test_the_pictures_that_the_catalogue_shows_exist():
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for variable in ("EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"):
        for url in re.search(rf'set\({variable} "([^"]+)"\)', cmake).group(1).split():
            picture = ROOT / url.split("/main/", 1)[1]
            assert picture.suffix in {".png", ".jpg", ".gif"}
            assert picture.is_file(), f"{variable} names {picture.relative_to(ROOT)}, which is not there"


def test_the_extension_icon_is_a_png_of_128_pixels():
    header = (ROOT / "Resources" / "AGUNETR.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")) == (128, 128)


def test_catalogue_entry():
    """The keys are those of the catalogue's schema 1.0.1, which allows no others."""
    entry = json.loads((ROOT / "AGUNETR.json").read_text(encoding="utf-8"))
    allowed = {"$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies", "build_subdirectory"}
    assert set(entry) <= allowed | {"enabled", "tier"}
    assert entry["category"] == "Segmentation" and entry["tier"] in {1, 3, 5}
    assert entry["build_dependencies"] == ["PyTorch"]
    assert entry["scm_url"].removesuffix(".git").rsplit("/", 1)[1] == "SlicerAGUNETR"


def _project_packages(name: str, folder: Path) -> set[str]:
    """The dotted names of a package and of the packages below it."""
    below = {path.parent.relative_to(folder) for path in folder.rglob("*.py")}
    return {".".join([name, *path.parts]) for path in below}


def test_pip_packages_every_folder_of_the_engines():
    setup = PYPROJECT["tool"]["setuptools"]
    engines = {"agunetr": ROOT / "AGUNETRSegment" / "agunetr", "agunetr_train": ROOT / "AGUNETRTrain" / "agunetr_train"}
    expected = {"agunetr.embedded", "agunetr.localisers", "agunetr_train.embedded"}
    for name, folder in engines.items():
        expected |= _project_packages(name, folder)
    assert set(setup["packages"]) == expected
    assert all((ROOT / folder).is_dir() for folder in setup["package-dir"].values())


def test_constraints_are_exact_and_cover_the_dependencies():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9A-Za-z.]+", pin) for pin in pins), "names and exact versions only"
    pinned = {_normalised(pin.split("==")[0]) for pin in pins}

    project = PYPROJECT["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    names = {_normalised(re.match(r"[A-Za-z0-9_.-]+", requirement).group()) for requirement in wanted}
    assert names <= pinned
    torch = re.search(r"^TORCH := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE).group(1)
    assert torch in pins, "the Makefile and constraints.txt name different versions of torch"


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
