"""A worker whose engine does what the request's ``volume`` says; run as a child process by test_worker.py."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from agunetr.errors import Cancelled, InputError
from agunetr.worker import run


class ScriptedEngine:
    """Stands in for the engine: quick, and as badly behaved as the test asks."""

    def segment(self, request, progress, cancelled):
        """Runs the behaviour that ``request.volume`` names."""
        return getattr(self, request.volume)(request, progress, cancelled)

    def models(self):
        """One made-up model."""
        return {"models": [{"name": "scripted"}], "broken": []}

    def devices(self):
        """One made-up device."""
        return {"devices": [{"name": "scripted"}]}

    def discard_unfinished(self):
        """Leaves a trace for the test."""
        print("discarded unfinished files")

    def windows(self, request, progress, cancelled):
        """10 s of windows, cancelled between them."""
        for window in range(1000):
            if cancelled():
                raise Cancelled()
            progress("windows", window, 1000)
            time.sleep(0.01)
        return {"warnings": []}

    def quick(self, request, progress, cancelled):
        """Done at once."""
        return {"input": request.volume, "options": request.options, "undefined": float("nan")}

    def stubborn(self, request, progress, cancelled):
        """Never looks at the cancel flag."""
        time.sleep(60)

    def noisy(self, request, progress, cancelled):
        """Prints in every way a library can."""
        print('{"event": "result", "job": "noise"}')
        os.write(1, b"C++ was here, without an end of line")
        sys.__stdout__.write("and the original Python stream\n")
        sys.__stdout__.flush()
        subprocess.run([sys.executable, "-c", "print('child'); import sys; sys.stdin.read()"], check=True)
        logging.getLogger("agunetr.test").warning("one warning")
        return {}

    def refused(self, request, progress, cancelled):
        """A refusal."""
        raise InputError("The file is empty.", "Give another.")

    def broken(self, request, progress, cancelled):
        """A fault."""
        raise RuntimeError("a fault in the engine")

    def hungry(self, request, progress, cancelled):
        """Too little memory."""
        raise MemoryError

    def marker(self, request, progress, cancelled):
        """Writes when it is cancelled, so that the test sees it after the process has gone."""
        while not cancelled():
            time.sleep(0.01)
        Path(request.output).write_text("cancelled")
        raise Cancelled()


if __name__ == "__main__":
    run(engine=ScriptedEngine())
