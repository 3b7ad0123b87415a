"""What the doctor finds, also on machines where something is missing."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess

import pytest

from agunetr import doctor
from agunetr.cli import main
from agunetr.doctor import BROKEN, GOOD, HINT
from agunetr.doctor_probes import OPENVINO_PROBE, report_of


def by_name(findings):
    return {finding.name: finding for finding in findings}


def test_a_working_machine(tiny_models, monkeypatch, capsys):
    monkeypatch.setenv("AGUNETR_MODELS", str(tiny_models))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for part in ("AGUNETR", "libraries", "PyTorch", "device", "precision", "memory", "tiny-base", "can run"):
        assert part in text


def test_every_finding_that_is_not_good_says_what_would_help(tiny_models, monkeypatch):
    monkeypatch.setenv("AGUNETR_MODELS", str(tiny_models))
    monkeypatch.setattr(doctor, "report_of", lambda probe: (None, "does not start (exit code -11): no message"))
    findings = doctor.examine()
    assert by_name(findings)["PyTorch"].state == BROKEN
    for finding in findings:
        assert finding.state in (GOOD, HINT, BROKEN)
        assert bool(finding.advice) == (finding.state != GOOD), finding


def test_a_torch_that_crashes_is_a_finding(tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("import os, sys\nsys.stderr.write('bad DLL\\n')\nos._exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = doctor.check_torch()
    assert finding.state == BROKEN
    assert "exit code 3" in finding.found and "bad DLL" in finding.found


def test_a_torch_that_hangs_is_a_finding(monkeypatch):
    def hang(*arguments, timeout, **_):
        raise subprocess.TimeoutExpired(arguments, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert doctor.check_torch()[0].state == BROKEN


def report(**changes):
    values = {
        "torch": "2.13.0", "threads": 64, "device": "cpu", "device_reason": "No GPU.", "precision": "exact",
        "precision_reason": "No bfloat16.", "cpu": "AVX2", "cuda_build": None, "gpus": [], "capabilities": ["FP32"],
    }  # fmt: skip
    return {**values, **changes}


@pytest.mark.parametrize(
    ("changes", "name", "state", "text"),
    [
        ({"threads": 0}, "PyTorch", HINT, "0 threads"),
        ({"cpu": "DEFAULT"}, "CPU", HINT, "DEFAULT"),
        ({"gpus": [{"name": "H100", "memory": 80e9, "fault": None}]}, "GPU 0", GOOD, "80 GB"),
        ({"gpus": [{"name": "Old", "memory": 4e9, "fault": "no kernel image"}]}, "GPU 0", HINT, "no kernel image"),
        ({}, "GPU", HINT, "CPU build"),
        ({"cuda_build": "12.8"}, "GPU", HINT, "finds no GPU"),
    ],
)
def test_what_the_probe_reports(monkeypatch, changes, name, state, text):
    monkeypatch.setattr(doctor, "report_of", lambda probe: (report(**changes), ""))
    monkeypatch.setattr(shutil, "which", lambda program: "/usr/bin/nvidia-smi")
    finding = by_name(doctor.check_torch())[name]
    assert finding.state == state
    assert text in finding.found


def test_missing_libraries_are_named(monkeypatch):
    version = importlib.metadata.version

    def without(name):
        if name in ("monai", "openvino"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    (libraries,) = doctor.check_packages()
    assert libraries.state == BROKEN and "pip install monai" in libraries.advice
    (openvino,) = doctor.check_openvino()
    assert openvino.state == HINT and "PyTorch runs" in openvino.found


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        (({"capabilities": ["FP32", "BF16"]}, ""), GOOD, "2026.4 computes in float32 and bfloat16"),
        (({"capabilities": ["FP32"]}, ""), GOOD, "in float32 and runs"),
        ((None, "does not start (exit code -11): no message"), HINT, "2026.4 is installed but does not start"),
    ],
)
def test_openvino_is_tried_and_not_only_looked_for(monkeypatch, answer, state, text):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2026.4")
    monkeypatch.setattr(doctor, "report_of", lambda probe: answer)
    (finding,) = doctor.check_openvino()
    assert finding.state == state and text in finding.found and bool(finding.advice) == (state != GOOD)


def test_the_probe_of_openvino_runs():
    pytest.importorskip("openvino")
    report, problem = report_of(OPENVINO_PROBE)
    assert problem == "" and "FP32" in report["capabilities"]


def test_little_memory_is_a_hint(monkeypatch):
    monkeypatch.setattr(doctor, "memory_bytes", lambda: (4e9, 1e9))
    assert doctor.check_memory()[0].state == HINT


def test_memory_is_plausible():
    total, available = doctor.memory_bytes()
    assert 0 < available <= total


def test_no_models_means_that_segmentation_cannot_run(tmp_path, monkeypatch, capfd):
    from agunetr.models import library

    monkeypatch.setenv("AGUNETR_MODELS", str(tmp_path / "none"))
    monkeypatch.setattr(library, "embedded_folder", lambda: tmp_path / "nothing embedded")
    monkeypatch.setattr(doctor, "report_of", lambda probe: (report(), ""))
    assert main(["doctor", "--json"]) == 1
    event = json.loads(capfd.readouterr().out)
    assert event["event"] == "doctor" and event["able"] is False
    assert {finding["state"] for finding in event["findings"]} <= {GOOD, HINT, BROKEN}


def test_a_check_that_fails_does_not_stop_the_others(monkeypatch):
    def fail():
        raise RuntimeError("surprise")

    fail.__name__ = "check_memory"
    monkeypatch.setattr(doctor, "check_memory", fail)
    monkeypatch.setattr(doctor, "report_of", lambda probe: (report(), ""))
    found = by_name(doctor.examine())
    assert "surprise" in found["memory"].found
    assert "AGUNETR" in found and "libraries" in found


def pretend_installed(monkeypatch, tmp_path, *, record: bool, files: bool, complete: bool = True):
    """A PyTorch of which the record, the files or a part of them is there."""
    from agunetr import doctor_torch

    folder = tmp_path / "torch"
    if files:
        folder.mkdir()
        (folder / "__init__.py").touch()
    listed = [importlib.metadata.PackagePath("torch/__init__.py"), importlib.metadata.PackagePath("torch/lib/c10.dll")]
    for path in listed:
        path.dist = importlib.metadata.PathDistribution(tmp_path / "torch-2.13.dist-info")
    if complete and files:
        (folder / "lib").mkdir()
        (folder / "lib" / "c10.dll").touch()
    monkeypatch.setattr(doctor_torch, "torch_version", lambda: "2.13.0" if record else None)
    monkeypatch.setattr(importlib.metadata, "files", lambda name: listed)
    monkeypatch.setattr(doctor_torch.sys, "path", [str(tmp_path)])
    monkeypatch.setattr(doctor_torch.sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    monkeypatch.setattr(doctor_torch, "_user_site", lambda: [])
    return doctor_torch


@pytest.mark.parametrize(
    ("record", "files", "complete", "problem", "found"),
    [
        (False, False, True, "No module named 'torch'", "is not installed"),
        (True, False, True, "No module named 'torch'", "2.13.0 is half installed: it is recorded"),
        (False, True, True, "no version", "no record of it"),
        (True, True, False, "cannot import name x", "2.13.0 is half installed: 1 of its files"),
        (True, True, True, "OSError: [WinError 126] c10.dll", "WinError 126"),
        (True, True, True, "undefined symbol: _ZN3c10", "undefined symbol"),
        (True, True, True, "_ARRAY_API not found", "another NumPy"),
        (True, True, True, "does not start (exit code -11): no message", "exit code -11"),
    ],
)
def test_why_pytorch_does_not_start(monkeypatch, tmp_path, record, files, complete, problem, found):
    doctor_torch = pretend_installed(monkeypatch, tmp_path, record=record, files=files, complete=complete)
    told, advice = doctor_torch.torch_fault(problem)
    assert found in told and advice and not advice.endswith(".")


def test_versions_are_told_for_programs():
    found = doctor.versions()
    assert set(doctor.PACKAGES) < set(found) and found["numpy"]
