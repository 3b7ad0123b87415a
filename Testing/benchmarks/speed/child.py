"""One task in a process of its own: ``python child.py``, one JSON object a line each way.

::

    <- {"task": NAME, "arguments": {...}}      -> {"ready": true, "resident_mb": 310.0}
    <- {"run": true}                           -> {"seconds": 1.25, "facts": {...}, "peak_mb": 900.0}

Instead of an answer ``{"error": SENTENCE}`` comes where the task cannot run here, with ``"fault": true`` where that is
a fault and not a missing feature; the process then ends. It also ends with its standard input.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from agunetr.errors import AgunetrError
from agunetr.events import claimed_stdout
from speed.memory import peak_mb, resident_mb
from speed.rows import NotMeasured
from speed.tasks import make_task
from speed.timing import timed


def serve(lines: Any, answer: Any) -> None:
    """Make the task of the first line and run it once a line after that."""
    try:
        first = json.loads(next(lines))
        task = make_task(first["task"], first["arguments"])
        answer({"ready": True, "resident_mb": resident_mb()})
        for _line in lines:
            seconds, value = timed(task.run)
            # The peak is the work's own: what the comparison afterwards takes comes after it.
            peak = peak_mb()
            answer({"seconds": seconds, "peak_mb": peak, "facts": task.facts(value)})
            del value
    except (AgunetrError, NotMeasured) as error:
        answer({"error": str(error)})
    except Exception as error:
        traceback.print_exc()
        answer({"error": f"{type(error).__name__}: {error}", "fault": True})


def main() -> None:
    """Serves on the standard streams."""
    with claimed_stdout() as stream, os.fdopen(os.dup(0), "r", encoding="utf-8") as lines:

        def answer(message: dict[str, Any]) -> None:
            stream.write(json.dumps(message) + "\n")
            stream.flush()

        serve(iter(lines.readline, ""), answer)
    sys.stderr.flush()


if __name__ == "__main__":
    main()
