"""Stands in for ``python -m agunetr train ... --json``: what it does is the name of the folder of the data.

It leaves the files of a run, with made-up numbers, as training does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

JOBS = ("base", "gated")
EPOCHS = 2
EXPERIMENT = {
    "name": "made-up",
    "description": "Two stages of two epochs.",
    "defaults": {"epochs": EPOCHS},
    "stages": [{"name": "base", "variant": "unetr"}, {"name": "gated", "variant": "agunetr-v2"}],
}
CASES_CSV = """\
case,patient,stage,fold,seed,job,dice,hausdorff95_mm,surface_dice,volume_ml
c10,c10,base,1,0,base,0.5,12.5,0.4,100
c2,c2,base,1,0,base,0.75,8,0.6,200
c10,c10,gated,1,0,gated,0.625,10.5,0.5,110
c2,c2,gated,1,0,gated,0.75,,0.6,210
"""
SUMMARY_CSV = """\
stage,measure,cases,undefined,mean,standard_deviation,median,least,most
base,dice,2,0,0.625,0.1768,0.625,0.5,0.75
gated,dice,2,0,0.6875,0.0884,0.6875,0.625,0.75
"""
COMPARISONS_CSV = """\
stage,reference,measure,cases,mean_difference,median_difference,over_cases_low,over_cases_high,wilcoxon_patients,wilcoxon_p
gated,base,dice,2,0.0625,0.0625,0,0.125,2,0.5
"""


def emit(event: str, **fields) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def append(path: Path, row: dict) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def begin(run: Path, job: str) -> None:
    (run / job / "test").mkdir(parents=True, exist_ok=True)
    emit("started", job=job, number=1, variant="unetr", epochs=EPOCHS, device="cpu", goes_on=False)


def epoch(run: Path, job: str, number: int) -> None:
    emit("progress", job=job, stage="training", done=number, total=EPOCHS, seconds_left=None)
    loss, dice = {"epoch": number, "loss": 1.5 / number, "seconds": 4.0}, {"epoch": number, "validation_dice": 0.25}
    append(run / job / "metrics.jsonl", loss)
    emit("epoch", job=job, step=number, learning_rate=0.1, **loss)
    append(run / job / "metrics.jsonl", dice)
    emit("validated", job=job, **dice)


def finish(run: Path, job: str) -> None:
    (run / job / "model.json").write_text(json.dumps({"weights": "abc"}), encoding="utf-8")
    for case, dice in (("c2", 0.75), ("c10", 0.5)):
        (run / job / "test" / f"{case}.json").write_text(json.dumps({"dice": dice, "weights": "abc"}), encoding="utf-8")
    (run / job / "finished.json").write_text(json.dumps({"epochs": EPOCHS, "stopped_early": False}), encoding="utf-8")
    emit("finished", job=job, mean_dice=0.625, epochs=EPOCHS)


def write_report(run: Path) -> None:
    report = run / "report"
    report.mkdir(exist_ok=True)
    for name, text in (("cases.csv", CASES_CSV), ("summary.csv", SUMMARY_CSV), ("comparisons.csv", COMPARISONS_CSV),
                       ("index.html", "<p>Report</p>")):
        (report / name).write_text(text, encoding="utf-8")
    emit("report", path=str(report / "index.html"))


def train(run: Path, behaviour: str) -> int:
    if behaviour == "no torch":
        print("ModuleNotFoundError: No module named 'torch'", file=sys.stderr)
        return 1
    if behaviour == "refused":
        emit("error", kind="input", message="The case c2 has no mask.", remedy="Remove it.")
        return 3
    run.mkdir(parents=True, exist_ok=True)
    (run / "experiment.json").write_text(json.dumps(EXPERIMENT), encoding="utf-8")
    (run / "data-report.txt").write_text("Cases: 2, patients: 2.\n", encoding="utf-8")
    emit("notice", message="The CPU was taken.")
    emit("progress", stage="check", done=1, total=2, seconds_left=None)
    emit("run", run=str(run), experiment="made-up", jobs=list(JOBS))
    begin(run, "base")
    if not (run / "base" / "metrics.jsonl").exists():
        epoch(run, "base", 1)
    if behaviour == "until stopped" and sys.stdin.readline():
        emit("stopped", job="base")
        return 130
    if behaviour == "until the end":
        sys.stdin.read()
        return 130
    if behaviour == "deaf":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        emit("notice", message=f"child {child.pid}")
        time.sleep(600)
    if behaviour == "crash":
        print("the last words", file=sys.stderr, flush=True)
        return 3
    if behaviour == "fails":
        emit("error", job="base", kind="memory", message="The machine ran out of memory.", remedy="Close programs.")
    else:
        epoch(run, "base", 2)
        finish(run, "base")
    begin(run, "gated")
    for number in range(1, EPOCHS + 1):
        epoch(run, "gated", number)
    finish(run, "gated")
    write_report(run)
    emit("jobs", jobs=[])
    return 7 if behaviour == "fails" else 0


def answer(words: list[str]) -> int:
    """The other commands of the engine."""
    command = words[0]
    if command == "report":
        write_report(Path(words[1]))
    elif command == "experiments":
        emit("experiment", experiment={**EXPERIMENT, "spacing_mm": 3.0}, jobs=list(JOBS))
    elif command == "data" and Path(words[2]).name == "broken":
        emit("progress", stage="check", done=0, total=2, seconds_left=None)
        emit("data", usable=False, text="Cases: 2\n\nFAULT: c2: the mask is empty.\n", cases={}, findings=[])
        return 3
    elif command == "data":
        emit("error", kind="input", message="There are no labelled cases.", remedy="Choose another folder.")
        return 3
    elif command == "export" and "--research-only" not in words:
        emit("error", kind="licence", message="The terms of c2 allow evaluation only.",
             remedy="Tick For research here only.")
        return 3
    elif command == "export":
        emit("model", model={"name": words[words.index("--name") + 1]})
    return 0


if __name__ == "__main__":
    arguments = sys.argv[sys.argv.index("agunetr") + 1:]
    if arguments[0] == "train":
        given = dict(zip(arguments, arguments[1:], strict=False))
        sys.exit(train(Path(given["--run"]), Path(given.get("--data", "all")).name))
    sys.exit(answer(arguments))
