"""A worker in a real child process, as tests talk to it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def child_environment(**more: str) -> dict[str, str]:
    """The environment with the engine on the path, one thread, and ``more``."""
    path = os.pathsep.join([str(ROOT / "AGUNETRSegment"), str(ROOT / "AGUNETRTrain")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **more}


def cancel_seconds() -> float:
    """How long a cancel may take: the promised 2 s, and far more where the machine is busy with something else."""
    cpu, wall = time.process_time(), time.monotonic()
    while time.process_time() - cpu < 0.05:
        pass
    slowdown = (time.monotonic() - wall) / 0.05
    return 2.0 if slowdown < 1.5 else 20 * slowdown


class WorkerProcess:
    """Starts a worker and collects its events; every line of its standard output must be one.

    Args:
        arguments: after the Python executable, for example ``["-m", "agunetr.worker"]``.
        environment: more environment variables.
    """

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(**environment),
        )
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.log: list[str] = []
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._read_events, self._read_log)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except OSError:
                pass

    def _read_events(self) -> None:
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def _read_log(self) -> None:
        for line in self.process.stderr:
            self.log.append(line.decode())

    def send(self, request: dict[str, Any] | bytes) -> None:
        """Sends one request, or bytes as they are."""
        line = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def segment(self, job: str, volume: str, output: str = "out", **more: Any) -> None:
        """Sends a segment request."""
        self.send({"command": "segment", "job": job, "volume": volume, "models": ["m"], "output": output, **more})

    def next(self, *kinds: str, timeout: float = 180) -> dict[str, Any]:
        """The next event of one of the kinds; others before it are dropped."""
        end = time.monotonic() + timeout
        while True:
            event = self.events.get(timeout=max(0.01, end - time.monotonic()))
            assert event is not None, "the worker left: " + "".join(self.log[-20:])
            if event["event"] in kinds:
                return event

    def rest(self, timeout: float = 180) -> list[dict[str, Any]]:
        """Every event until the worker closes its output."""
        events = []
        while (event := self.events.get(timeout=timeout)) is not None:
            events.append(event)
        return events

    def exit_code(self, timeout: float = 180) -> int:
        """Waits for the end of the process, its output read to the end."""
        code = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(timeout)
        return code
