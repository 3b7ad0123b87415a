"""Imports run one way: module file, Slicer side, process boundary, engine; training uses the engine, not back."""

from __future__ import annotations

import re
import sys

import pytest
import tomllib
from source_tree import ROOT, imported_packages, python_files

ENGINE = ROOT / "AGUNETRSegment" / "agunetr"
TRAINING = ROOT / "AGUNETRTrain" / "agunetr_train"
SEGMENT_LIB = ROOT / "AGUNETRSegment" / "AGUNETRSegmentLib"
TRAIN_LIB = ROOT / "AGUNETRTrain" / "AGUNETRTrainLib"

SLICER = {"slicer", "qt", "ctk", "vtk", "vtkmodules", "mrml", "PySide6", "PythonQt"}
LIBS = {"AGUNETRSegmentLib", "AGUNETRTrainLib", "AGUNETRSegment", "AGUNETRTrain"}
HEAVY = {"torch", "monai", "ignite", "agunetr", "agunetr_train", "openvino"}
# What Slicer's Python has without installing anything.
IN_SLICER = {"slicer", "qt", "ctk", "vtk", "vtkmodules", "numpy", "scipy", "SimpleITK", "SampleData"}
OTHER_EXTENSIONS = {"PyTorchUtils"}  # asked for at run time, and done without

# The distribution's name where it is not the package's.
DISTRIBUTION = {"ignite": "pytorch-ignite"}


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        pytest.param(ENGINE, SLICER | LIBS | {"agunetr_train"}, id="engine"),
        pytest.param(TRAINING, SLICER | LIBS, id="training engine"),
        pytest.param(SEGMENT_LIB, HEAVY | (LIBS - {"AGUNETRSegmentLib"}), id="Segment's Slicer side"),
        pytest.param(TRAIN_LIB, HEAVY | {"AGUNETRTrain", "AGUNETRSegment"}, id="Train's Slicer side"),
    ],
)
def test_no_import_runs_back(folder, forbidden):
    files = list(python_files(folder))
    assert files, f"nothing to check in {folder}"
    wrong = {str(path.relative_to(ROOT)): sorted(imported_packages(path) & forbidden) for path in files}
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.parametrize("module", ["AGUNETRSegment", "AGUNETRTrain"])
def test_the_module_file_joins_and_does_not_compute(module):
    path = ROOT / module / f"{module}.py"
    assert imported_packages(path) & HEAVY == set()


@pytest.mark.parametrize("folder", [SEGMENT_LIB, TRAIN_LIB])
def test_the_slicer_side_needs_nothing_installed(folder):
    for path in python_files(folder):
        others = imported_packages(path) - set(sys.stdlib_module_names) - IN_SLICER - LIBS - OTHER_EXTENSIONS
        assert others == set(), f"{path.relative_to(ROOT)} imports {others}, which Slicer's Python does not have"


@pytest.mark.parametrize(("folder", "extras"), [(ENGINE, {"fast"}), (TRAINING, {"fast", "train"})])
def test_everything_that_an_engine_imports_is_declared(folder, extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    declared = {re.match(r"[\w.-]+", requirement).group().lower() for requirement in wanted}
    for path in python_files(folder):
        others = imported_packages(path) - set(sys.stdlib_module_names) - {"agunetr", "agunetr_train"}
        missing = {name for name in others if DISTRIBUTION.get(name, name).lower() not in declared}
        assert missing == set(), f"{path.relative_to(ROOT)} imports {missing}, which pyproject.toml does not name"


def test_the_walk_sees_every_way_of_importing(tmp_path):
    source = tmp_path / "sample.py"
    source.write_text(
        "import importlib\nimport os.path as p\nfrom torch.nn import Module\nfrom . import near\n"
        "def later():\n    import qt\n    importlib.import_module('slicer.util')\n",
        encoding="utf-8",
    )
    assert imported_packages(source) == {"importlib", "os", "torch", "qt", "slicer"}
