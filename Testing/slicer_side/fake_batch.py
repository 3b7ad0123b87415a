"""Stands in for ``python -m agunetr segment FOLDER --json``: what it does is the name of the folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def emit(event: str, **fields) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def result(case: str) -> None:
    models = [{"name": "base", "volume_ml": 201.25, "warnings": [{"message": "Few slices."}]},
              {"name": "gated", "volume_ml": 198.5, "warnings": [{"message": "Few slices."}]}]
    emit("result", case=case, output=f"/out/{case}", result={"models": models, "seconds": {"total": 3.25}})


def progress(case: str) -> None:
    emit("progress", case=case, stage="windows", done=1, total=4, seconds_left=6.0)


behaviour = Path(sys.argv[sys.argv.index("segment") + 1]).name
if behaviour == "no model":
    emit("error", kind="model", message="There is no model big.", remedy="Import it.")
    sys.exit(4)
if behaviour == "no torch":
    sys.exit("ModuleNotFoundError: No module named 'torch'")
if behaviour == "one":  # a DICOM folder that is one CT: it is not listed
    progress("one")
    result("one")
    sys.exit(0)
emit("notice", kind="left-out", message="1 subfolder without DICOM slices was left out.")
emit("listed", cases=[{"case": name, "input": f"/cts/{name}.nii", "output": f"/out/{name}"} for name in "abcde"])
emit("skipped", case="a", output="/out/a", result={"models": [{"name": "base", "volume_ml": 150.0}]})
emit("started", case="b", number=2, total=5)
progress("b")
if behaviour == "crash":
    print("the last words", file=sys.stderr, flush=True)
    os._exit(3)
if behaviour == "polite":
    sys.stdin.readline()
    result("b")
    emit("error", case="c", kind="cancelled", message="Cancelled.", remedy="")
    sys.exit(130)
if behaviour == "until now":  # writes a case until it is asked a second time
    sys.stdin.readline()
    sys.stdin.readline()
    sys.exit(130)
if behaviour == "until the end":
    sys.stdin.read()
    sys.exit(130)
if behaviour == "deaf":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(f"child {child.pid}", flush=True)
    time.sleep(600)
result("b")
emit("started", case="c", number=3, total=5)
emit("error", case="c", kind="input", message="It is damaged.", remedy="Copy it again.")
emit("left-out", case="d", message="This is a mask.", remedy="")
emit("started", case="e", number=5, total=5)
if behaviour == "many words":
    for _number in range(5000):
        progress("e")
result("e")
emit("cases", cases=[])
sys.exit(7)
