"""Paths of the Slicer-side tests: the Slicer side of the module, the demo's bare Slicer, this folder's builders."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Off-screen rendering without a display, should a test render.
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "AGUNETRSegment", ROOT / "Testing", ROOT / "Testing" / "demo", Path(__file__).resolve().parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
