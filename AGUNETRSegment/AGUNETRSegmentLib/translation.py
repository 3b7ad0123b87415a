"""``_``: Slicer's translation of a literal text, or the text itself where Slicer's i18n is not there.

The library also runs on the bare Slicer core (scene writing without the application), which ships no ``slicer.i18n``.
"""

from __future__ import annotations

try:
    from slicer.i18n import tr as _
except ImportError:

    def _(text: str) -> str:
        """Give *text* back: without the application there is no language to translate to."""
        return text


__all__ = ["_"]
