"""Values of the panel that its widgets and the scene know under names."""

from __future__ import annotations

import enum

from AGUNETRSegmentLib.translation import _


class Device(enum.Enum):
    """Where networks are trained; the value is the engine's word."""

    AUTOMATIC = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self) -> str:
        """What the user reads."""
        return {
            Device.AUTOMATIC: _("Automatic"),
            Device.CPU: _("Processor (CPU)"),
            Device.CUDA: _("NVIDIA GPU (CUDA)"),
            Device.MPS: _("Apple GPU (MPS)"),
        }[self]
