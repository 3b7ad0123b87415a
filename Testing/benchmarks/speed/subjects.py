"""Subjects: tasks that take turns, each in a process of its own or, for the smoke form, all in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from agunetr.errors import AgunetrError
from speed.rows import NotMeasured
from speed.tasks import make_task
from speed.timing import timed

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = (ROOT / "AGUNETRSegment", ROOT / "AGUNETRTrain", ROOT / "Testing" / "benchmarks")

Say = Callable[[str], None]


@dataclass
class Measured:
    """What one subject gave.

    Attributes:
        seconds: of each repetition.
        facts: of each repetition.
        peak_mb: the most memory of its process; None in this process.
        resident_mb: the memory of its process when it was ready, networks loaded.
        failure: why there is no measurement; empty where there is one.
    """

    seconds: list[float] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    peak_mb: float | None = None
    resident_mb: float | None = None
    failure: str = ""

    @property
    def last(self) -> dict[str, Any]:
        """The facts of the last repetition."""
        return self.facts[-1] if self.facts else {}

    @property
    def working_mb(self) -> float | None:
        """What the work took on top of what was loaded before it."""
        if self.peak_mb is None or self.resident_mb is None:
            return None
        return self.peak_mb - self.resident_mb

    def demand(self) -> Measured:
        """Itself.

        Raises:
            NotMeasured: it failed.
        """
        if self.failure:
            raise NotMeasured(self.failure)
        return self


class Subject(Protocol):
    """A task that is ready to run."""

    def run_once(self, into: Measured) -> None:
        """Run the task and add what it gave.

        Raises:
            NotMeasured: it failed.
        """
        ...

    def close(self) -> None:
        """End it."""
        ...


class SubjectHere:
    """A task in this process."""

    def __init__(self, task: str, arguments: Mapping[str, Any], into: Measured) -> None:
        try:
            self._task = make_task(task, dict(arguments))
        except AgunetrError as error:
            raise NotMeasured(str(error)) from error

    def run_once(self, into: Measured) -> None:
        """See :meth:`Subject.run_once`."""
        try:
            seconds, value = timed(self._task.run)
        except AgunetrError as error:
            raise NotMeasured(str(error)) from error
        into.seconds.append(seconds)
        into.facts.append(self._task.facts(value))

    def close(self) -> None:
        """Nothing to end."""


class SubjectApart:
    """A task in a child process, see :mod:`speed.child`."""

    def __init__(self, task: str, arguments: Mapping[str, Any], into: Measured) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "speed.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=child_environment(),
        )
        try:
            into.resident_mb = self._ask({"task": task, "arguments": dict(arguments)})["resident_mb"]
        except BaseException:
            self.close()
            raise

    def run_once(self, into: Measured) -> None:
        """See :meth:`Subject.run_once`."""
        answer = self._ask({"run": True})
        into.seconds.append(answer["seconds"])
        into.facts.append(answer["facts"])
        into.peak_mb = max(into.peak_mb or 0.0, answer["peak_mb"]) if answer["peak_mb"] is not None else None

    def close(self) -> None:
        """Close its input, upon which it ends; end it by force where it does not."""
        try:
            self._process.stdin.close()
        except OSError:
            pass
        wait_for_end(self._process)

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended; what it said last, or its exit code, tells why
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            killed = " (it was killed: too little memory, perhaps)" if code < 0 else ""
            raise NotMeasured(f"The measuring process ended with the code {code}{killed}.")
        answer = json.loads(line)
        if "error" in answer:
            raise NotMeasured(("It failed: " if answer.get("fault") else "") + answer["error"])
        return answer


def wait_for_end(process: subprocess.Popen) -> None:
    """Wait for a child whose input was closed, and end it by force where it does not end by itself."""
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def child_environment(**more: str) -> dict[str, str]:
    """The environment with the engine and the benchmark on the path, and ``more``."""
    path = os.pathsep.join([*map(str, FOLDERS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, **more}


def take_turns(
    subjects: Mapping[str, tuple[str, Mapping[str, Any]]], repetitions: int, apart: bool, say: Say = lambda _text: None
) -> dict[str, Measured]:
    """Run subjects in turns, A B A B, after every one of them is ready.

    Args:
        subjects: name to the task and its arguments; they take turns in this order.
        repetitions: how often each runs.
        apart: each in a process of its own; else all in this one, and no memory is measured.
        say: told a line a repetition.

    Returns:
        What each gave. One that fails has a ``failure`` and no seconds; the others go on without it.
    """
    measured = {name: Measured() for name in subjects}
    running: dict[str, Subject] = {}
    make = SubjectApart if apart else SubjectHere
    try:
        for name, (task, arguments) in subjects.items():
            try:
                running[name] = make(task, arguments, measured[name])
            except NotMeasured as problem:
                measured[name] = Measured(failure=str(problem))
                say(f"  {name}: {problem}")
        for number in range(1, repetitions + 1):
            for name in list(running):
                try:
                    running[name].run_once(measured[name])
                except NotMeasured as problem:
                    measured[name] = Measured(failure=str(problem))
                    running.pop(name).close()
                    say(f"  {name}: {problem}")
                    continue
                say(f"  {number}/{repetitions} {name}: {measured[name].seconds[-1]:.3f} s")
    finally:
        for subject in running.values():
            subject.close()
    return measured
