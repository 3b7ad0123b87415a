"""What every test shares: the packages on the path, few threads, no display, and the real CTs where they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENGINE_FOLDERS = [str(ROOT / "AGUNETRSegment"), str(ROOT / "AGUNETRTrain")]

# Child processes of the tests (command line, worker) find the packages the same way.
sys.path[:0] = [folder for folder in ENGINE_FOLDERS if folder not in sys.path]
os.environ["PYTHONPATH"] = os.pathsep.join([*ENGINE_FOLDERS, *filter(None, [os.environ.get("PYTHONPATH")])])

# Before torch and ITK are imported: the tests' tensors are tiny, and more threads only wait for each other.
# Several processes share the cores, and a thread that waits for a busy core makes all others wait.
THREADS = os.environ.get("AGUNETR_TEST_THREADS", "1")
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ.setdefault(variable, THREADS)

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("MPLBACKEND", "Agg")
if sys.platform.startswith("linux"):
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> None:
    """No test reads or writes the user's cache; those of one session share what is compiled, children included."""
    os.environ["AGUNETR_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real CTs beside the project; tests that need it are skipped where it is not."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real CTs are not there ({folder}); the phantom's tests cover the same code")
    return folder


@pytest.fixture
def report_line(request):
    """Call it with a line that belongs into the summary of the test run, for example a measured Dice."""
    # User properties travel with a test's report, also from the processes of a parallel run.
    return lambda line: request.node.user_properties.append(("measured", line))


def pytest_terminal_summary(terminalreporter):
    """Print what the tests measured."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    lines = [value for report in reports for name, value in report.user_properties if name == "measured"]
    if lines:
        terminalreporter.section("measured")
        for line in sorted(lines):
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items):
    """The longest files first: a parallel run then ends with short ones, and no process waits for the other."""
    items.sort(key=lambda item: not item.path.name.startswith("test_real_"))
