"""Test equipment: lets the extension's module files run, unmodified, on slicer-core and PySide6 without Slicer.

How a test opens a module and uses it as the user does::

    import host

    with host.application() as app:
        widget = app.openModule("AGUNETRSegment")     # the module's Python widget: widget.ui, widget.logic
        host.click(widget.ui.segmentButton)           # fails if the button is disabled or hidden
        host.choose(widget.ui.deviceSelector, "CPU")  # combo boxes and node selectors, by text
        host.type_(widget.ui.filterEdit, "liver")     # line edits, spin boxes, path edits
        host.press(widget.ui.statusLabel, "Ctrl+Return")
        host.answer("Yes", "/tmp/file.csv")           # what the user does in the dialogs that come, in order
        app.wait(lambda: widget.logic.running, False) # lets the event loop run until it is so
        app.dialogs                                   # (title, text) of every dialog that was shown

At its end the application closes as the real one does, and :class:`HostFailure` tells of every exception in a slot,
every dialog that nobody expected, and every answer that nobody asked for. It also does so for what PythonQt refuses:
see ``manners.py``. ``app.failures`` holds those so far; a test that provokes one clears it.
"""

from __future__ import annotations

from .session import Application, HostFailure, application
from .user import answer, choose, click, press, tick, type_

__all__ = ["Application", "HostFailure", "answer", "application", "choose", "click", "press", "tick", "type_"]
