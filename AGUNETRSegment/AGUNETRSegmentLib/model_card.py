"""The model card in a window of its own."""

from __future__ import annotations

from pathlib import Path

import qt

from .errors import SegmentationError
from .reading_dialog import showInDialog
from .translation import _

CARD = Path("docs") / "README.md"
LONGEST = 1_000_000  # characters; the card is a text of the model's maker


def cardText(model: dict) -> str:
    """The card of a model, Markdown.

    :raises SegmentationError: it is gone or cannot be read.
    """
    path = Path(model.get("folder", "")) / CARD
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST)
    except OSError as error:
        raise SegmentationError(
            "model",
            _("The card of {name} cannot be read ({reason}).").format(
                name=model.get("name", ""), reason=error.strerror or error
            ),
            _("Press Refresh: the model may have been removed."),
        ) from error


def showCard(model: dict, parent) -> None:
    """Show the card until the user closes it.

    :raises SegmentationError: as :func:`cardText`.
    """
    text = cardText(model)
    browser = qt.QTextBrowser()
    browser.objectName = "modelCardBrowser"
    browser.toolTip = _("What the model's maker says of it.")
    browser.openLinks = False  # a text of somebody else: it may not lead anywhere
    if hasattr(browser, "setMarkdown"):
        browser.setMarkdown(text)
    else:
        browser.setPlainText(text)
    showInDialog(browser, "modelCardDialog", _("Model card of {name}").format(name=model.get("name", "")), parent)
