"""Stands in for the engine's worker: speaks its protocol and does what the name of the first model says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def emit(event: str, **fields) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def segment(request: dict) -> None:
    job, behaviour = request["job"], request["models"][0]
    if behaviour == "crash":
        print("Traceback: the last words of a worker", file=sys.stderr, flush=True)
        os._exit(3)
    if behaviour == "killed":
        os.kill(os.getpid(), 9)
    if behaviour == "no-torch":
        print("ModuleNotFoundError: No module named 'torch'", file=sys.stderr, flush=True)
        os._exit(1)
    if behaviour == "refuse":
        emit("error", job=job, kind="input", message="The image is constant.", remedy="Choose a CT.")
        return
    if behaviour == "deaf":  # neither reads nor stops; its own child neither
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        emit("log", level="info", message=f"child {child.pid}")
        time.sleep(600)
    if behaviour == "noise":
        print("a library prints to standard output", flush=True)
        print("[1, 2]", flush=True)
        emit("progress", job="job-of-yesterday", stage="infer", done=1, total=2)
    for done in range(3):
        emit("progress", job=job, stage="windows", done=done, total=2, seconds_left=2.0 - done)
    if behaviour == "wait-for-cancel":
        cancel = json.loads(sys.stdin.readline())
        assert cancel == {"command": "cancel", "job": job}, cancel
        emit("error", job=job, kind="cancelled", message="Cancelled; nothing was written.", remedy="")
        return
    if behaviour == "flood":
        for number in range(1000):
            emit("log", level="info", message=f"line {number}")
    emit("result", job=job, result={"format": 1, "echo": request, "pid": os.getpid()})


def main() -> None:
    emit("ready", version="0", protocol=1, pid=os.getpid())
    for line in sys.stdin:
        request = json.loads(line)
        if request["command"] == "shutdown":
            return
        if request["command"] == "models":
            emit("models", models=[{"name": "compact-base"}], broken=[])
        elif request["command"] == "devices":
            emit("devices", devices=[{"name": "cpu"}])
        elif request["command"] == "segment":
            marker = os.environ.get("FAKE_WORKER_LEAVES_ONCE")
            if marker and not os.path.exists(marker):
                open(marker, "w").close()
                return  # idle for too long, gone with the request unread
            segment(request)


main()
