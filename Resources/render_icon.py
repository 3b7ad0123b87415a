"""Draws AGUNETR.svg as the 128 x 128 PNG that the extension catalogue wants; needs PySide6.

Usage:  render_icon.py
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtGui import QGuiApplication, QImage, QPainter  # noqa: E402
from PySide6.QtSvg import QSvgRenderer  # noqa: E402

FOLDER = Path(__file__).resolve().parent


def render(svg: Path, png: Path, size: int) -> None:
    """Draws *svg* on a transparent square of *size* pixels and saves it as *png*."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    QSvgRenderer(str(svg)).render(painter)
    painter.end()
    if not image.save(str(png)):
        raise SystemExit(f"cannot write {png}")


if __name__ == "__main__":
    application = QGuiApplication([])
    render(FOLDER / "AGUNETR.svg", FOLDER / "AGUNETR.png", 128)
