"""What the Setup section says in each state, and what goes onto the clipboard."""

# -*- i18n: disabled -*-

from __future__ import annotations

from pathlib import Path

import pytest

from AGUNETRSegmentLib.diagnostics import diagnosticsText, withoutHome
from AGUNETRSegmentLib.health_check import parseReport
from AGUNETRSegmentLib.installation_question import folderQuestion, installQuestion, repairQuestion
from AGUNETRSegmentLib.package_installation import InstallationPlan
from AGUNETRSegmentLib.setup_state import (
    BROKEN,
    HINT,
    MISSING,
    READY,
    UNKNOWN,
    SetupFacts,
    SetupLine,
    modelsLine,
    otherFindings,
    packagesLine,
    torchIsTooOld,
    torchLine,
)
from AGUNETRSegmentLib.windows_paths import charactersTooMany


def finding(name, state="good", found="fine", advice=""):
    return {"name": name, "state": state, "found": found, "advice": advice}


WORKS = (finding("PyTorch"), finding("libraries"), finding("device", found="cpu: The CPU was taken."))
BLACKWELL = finding("GPU 0", "hint", "RTX 5090, 32 GB: cannot compute: no kernel image", "Install a build that fits.")


@pytest.mark.parametrize(
    ("version", "findings", "state", "part"),
    [
        (None, (), MISSING, "Press Install"),
        ("2.13.0", (), UNKNOWN, "not tried yet"),
        ("2.2.2+cpu", (), BROKEN, "too old, 2.8"),
        ("2.13.0", WORKS, READY, "computes on the CPU"),
        ("2.13.0", (finding("device", found="cuda: The GPU was found."), finding("GPU 0", found="H100, 80 GB, fine")),
         READY, "computes on H100."),
        ("2.13.0", (*WORKS, finding("GPU", "hint", "none found", "A GPU is faster.")), READY, "works"),
        ("2.13.0", (*WORKS, BLACKWELL), HINT, "no kernel image. Install a build"),
        ("2.13.0", (finding("PyTorch", "broken", "2.13.0 is half installed: gone"),), BROKEN, "Repair"),
        (None, (finding("PyTorch", "broken", "is half installed: no record"),), BROKEN, "Repair"),
        (None, (finding("PyTorch", "broken", "is not installed"),), MISSING, "Press Install"),
    ],
)
def test_torch_line(version, findings, state, part):
    line = torchLine(SetupFacts(version, [], 2, findings=findings))
    assert (line.state, part in line.text) == (state, True), line
    assert line.ready == (state in (READY, HINT, UNKNOWN))


@pytest.mark.parametrize(
    ("missing", "findings", "state", "part"),
    [
        (None, (), UNKNOWN, "not looked for"),
        (["monai>=1.6.1", "openvino>=2026.4"], (), MISSING, "monai"),
        (["openvino>=2026.4; sys_platform != 'darwin'"], (), HINT, "OpenVINO"),
        ([], (), READY, "are there"),
        ([], (finding("libraries", "broken", "missing: scipy"),), BROKEN, "scipy"),
        ([], (*WORKS, finding("OpenVINO", "hint", "2026.4 is installed but does not start")), HINT, "does not start"),
    ],
)
def test_packages_line(missing, findings, state, part):
    line = packagesLine(SetupFacts("2.13.0", missing, 2, findings=findings))
    assert (line.state, part in line.text) == (state, True), line


@pytest.mark.parametrize(
    ("models", "broken", "state"), [(None, 0, UNKNOWN), (0, 1, MISSING), (1, 0, READY), (2, 1, HINT)]
)
def test_models_line(models, broken, state):
    assert modelsLine(SetupFacts(models=models, brokenModels=broken)).state == state


def test_what_the_lines_do_not_say_is_said_beside_them():
    little = finding("memory", "hint", "1 GB", "Close programs.")
    facts = SetupFacts("2.13", [], 2, findings=(*WORKS, BLACKWELL, little))
    assert otherFindings(facts) == ["memory: 1 GB. Close programs."]


def test_versions_are_compared_by_number():
    assert torchIsTooOld("2.7.1+cu128") and torchIsTooOld("1.13.0") and not torchIsTooOld("2.10.0")
    assert not torchIsTooOld("a source build")


def test_windows_and_its_260_characters():
    short, deep = "C:\\Slicer\\Lib\\site-packages", "C:\\Programs\\Medical imaging\\3D Slicer 5.12.3\\" + "x" * 60
    assert charactersTooMany(short, False, windows=True) == 0
    assert charactersTooMany(deep, False, windows=True) > 0
    assert charactersTooMany(deep, True, windows=True) == charactersTooMany(deep, False, windows=False) == 0


def test_the_question_tells_what_how_much_and_where():
    plan = InstallationPlan(True, ("monai>=1.6.1",), Path("/slicer/packages"), int(5e9))
    text = installQuestion(plan)
    for part in ("PyTorch", "3 GB", "monai", str(plan.folder), "5 GB are free", "too little", "numpy"):
        assert part in text
    folder = folderQuestion(plan, Path("wheels"))
    assert "No network" in folder and "installed by pip" in folder and "torch, monai" in folder
    assert "installed by pip" not in folderQuestion(InstallationPlan(False, ("monai",), Path("x"), 1), Path("wheels"))
    assert "2.13.0" in repairQuestion("2.13.0")


def test_diagnostics_hold_what_helps_and_nothing_personal(monkeypatch, tmp_path):
    home = tmp_path / "Jane Doe"
    monkeypatch.setenv("PIP_INDEX_URL", "https://jane:secret@mirror.example/simple")
    monkeypatch.setenv("HTTPS_PROXY", "http://jane:secret@proxy:3128")
    text = diagnosticsText(
        {"Slicer": "5.12.3 revision 34000"},
        {"torch": SetupLine(BROKEN, f"PyTorch is half installed: {home}/torch is there.")},
        [BLACKWELL],
        {"torch": "2.13.0"},
        "\n".join(["first line", *["Collecting torch"] * 80]),
        "pip failed",
        home,
    )
    for part in ("5.12.3", "Python", "no kernel image", "torch 2.13.0", "mirror.example", "proxy:3128", "pip failed"):
        assert part in text
    assert "secret" not in text and "Jane" not in text and "~" in text and "first line" not in text


def test_only_the_home_folder_itself_is_shortened():
    assert withoutHome("/people/ann/x /people/anna/y", Path("/people/ann")) == "~/x /people/anna/y"


def test_report_of_the_engine():
    report = parseReport([{"event": "log"}, {"event": "doctor", "able": True, "findings": [finding("PyTorch")],
                                             "versions": {"torch": "2.13.0", "openvino": None}}])  # fmt: skip
    assert report.able and report.findings[0]["name"] == "PyTorch" and report.versions["torch"] == "2.13.0"
    with pytest.raises(Exception, match="no report"):
        parseReport([])
