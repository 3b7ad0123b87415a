"""Test equipment: lets the extension's module files run, unmodified, on slicer-core and PySide6 without Slicer.

A test opens a module and uses it as the user does::

    with host.application() as app:
        widget = app.openModule("AGUNETRSegment")     # the module's Python widget: widget.ui, widget.logic
        host.click(widget.ui.segmentButton)           # fails if it is disabled or hidden; likewise choose, type_, press
        host.answer("Yes", "/tmp/file.csv")           # what the user does in the dialogs that come, in order
        app.wait(lambda: widget.logic.running, False) # lets the event loop run until it is so

At its end the application closes as the real one does, and :class:`HostFailure` tells of every exception in a slot,
every dialog that nobody expected, every answer that nobody asked for, and what PythonQt refuses, see ``manners.py``.
``app.failures`` holds those so far, ``app.dialogs`` title and text of what was shown.
"""

from __future__ import annotations

from .session import Application, HostFailure, application
from .user import answer, choose, click, press, tick, type_

__all__ = ["Application", "HostFailure", "answer", "application", "choose", "click", "press", "tick", "type_"]
