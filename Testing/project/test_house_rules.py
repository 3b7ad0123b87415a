"""Rules of the house that no linter knows: file lengths and names, line ends, no addresses of package registries."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from source_tree import ROOT, python_files, text_files

LONGEST = 350
VAGUE = re.compile(r"(?:^|_)(?:utils?|helpers?|common|misc)\.py$")
# Written apart, so that this file passes its own check.
REGISTRIES = [first + rest for first, rest in (("py", "pi.org"), ("python", "hosted.org"), ("npm", "js.org"))]
REGISTRIES += [first + rest for first, rest in (("deb.", "debian.org"), ("download.", "pytorch.org"))]
API_CHECKER = ROOT.parent / "shared" / "slicer_api" / "check_slicer_api.py"


def test_a_file_does_one_thing_and_fits_in_a_head():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    assert {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_the_stand_in_of_the_application_stays_small():
    """What it stands for is tested in the application itself; whoever lets it grow builds a second one."""
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(ROOT / "Testing" / "host")]
    assert sum(lengths) < 1500 and max(lengths) < 300


def test_names_explain_themselves():
    assert [str(path.relative_to(ROOT)) for path in python_files() if VAGUE.search(path.name)] == []


def test_test_files_have_different_names():
    names = [path.name for path in python_files(ROOT / "Testing") if path.name.startswith("test_")]
    assert sorted(names) == sorted(set(names)), "pytest imports tests by their bare names"


def test_text_is_utf8_with_unix_line_ends():
    for path in text_files():
        assert b"\r" not in path.read_bytes(), path
        path.read_text(encoding="utf-8")


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_file_names_a_package_registry(host):
    """Which index serves the packages is the user's choice."""
    assert [str(path.relative_to(ROOT)) for path in text_files() if host in path.read_text(encoding="utf-8")] == []


def test_no_file_names_a_folder_of_one_machine():
    absolute = re.compile(r"(?<![\w./-])/(?:work|home|root|Users)/\w")
    wrong = [path for path in text_files() if absolute.search(path.read_text(encoding="utf-8"))]
    assert [str(path.relative_to(ROOT)) for path in wrong] == []


def test_licence_is_the_whole_apache_licence():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def test_versions_agree():
    import agunetr

    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE).group(1) == agunetr.__version__


def test_scripts_are_executable_and_parse():
    for script in (ROOT / ".ci" / "run", ROOT / "Testing" / "install_system_packages.sh"):
        assert os.access(script, os.X_OK)
        subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.skipif(not API_CHECKER.is_file(), reason="the list of Slicer's API is not beside the project")
def test_modules_agree_with_slicers_api():
    done = subprocess.run(
        [sys.executable, str(API_CHECKER), str(ROOT)], capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
