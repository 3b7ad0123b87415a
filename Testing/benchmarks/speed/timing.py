"""Taking times."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def timed(run: Callable[[], Value]) -> tuple[float, Value]:
    """Seconds that a call took, and what it returned; what the last one left behind is collected before."""
    gc.collect()
    started = time.perf_counter()
    value = run()
    return time.perf_counter() - started, value
