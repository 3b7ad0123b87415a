"""Windows on their way from the image to the device that predicts them.

A window at the border of a small image is padded with 0 on its way, so the image itself is never copied. On an NVIDIA
GPU the next batch travels from page-locked memory, in a stream of its own, while the network works on this one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional

from agunetr.inference.windows import Shape

HOST_BUFFERS = 2
"""One batch is on its way while the next one is cut."""


class WindowFeed:
    """Cuts batches of windows and brings them to a device.

    Args:
        image: (1, 1, R, A, S) float, on any device.
        window: voxels of a window along (R, A, S).
        margins: voxels of 0 to think around the image, (before, after) along each axis.
        device: where the windows are wanted.
    """

    def __init__(
        self,
        image: torch.Tensor,
        window: Shape,
        margins: Sequence[tuple[int, int]],
        device: torch.device,
    ) -> None:
        self._image, self._window, self._margins, self._device = image[0, 0], window, margins, device
        # Page-locked memory cannot be taken for an image that lies on the GPU already.
        self._overlaps = device.type == "cuda" and image.device.type == "cpu"
        self._stream = torch.cuda.Stream(device) if self._overlaps else None
        self._buffers: list[tuple[torch.Tensor, torch.cuda.Event]] = []
        self._ahead: tuple[tuple[Shape, ...], torch.Tensor] | None = None

    @property
    def device(self) -> torch.device:
        """Where the windows are brought to."""
        return self._device

    def cut(self, corner: Shape) -> torch.Tensor:
        """The (R, A, S) window that starts at ``corner`` of the padded image; a view where nothing must be padded."""
        piece, missing = self._image, []
        for axis, (start, edge, (before, _)) in enumerate(zip(corner, self._window, self._margins, strict=True)):
            first = max(start - before, 0)
            stop = min(start - before + edge, self._image.shape[axis])
            missing.append((first - (start - before), start - before + edge - stop))
            piece = piece.narrow(axis, first, stop - first)
        if not any(n for pair in missing for n in pair):
            return piece
        return functional.pad(piece, [n for pair in reversed(missing) for n in pair])

    def windows(self, corners: Sequence[Shape]) -> torch.Tensor:
        """(B, 1, R, A, S) windows that start at ``corners``, on the device."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != tuple(corners):
            ahead = (tuple(corners), self._send(corners))
        if self._stream is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_stream(self._stream)
            # Its memory belongs to the other stream, which must not give it away before this one is done with it.
            ahead[1].record_stream(current)
        return ahead[1]

    def send_ahead(self, corners: Sequence[Shape]) -> None:
        """Start sending the next batch; does nothing where that would not run beside the network."""
        if self._overlaps and corners:
            self._ahead = (tuple(corners), self._send(corners))

    def forget(self) -> None:
        """Drop what was sent ahead, to give its memory back."""
        self._ahead = None

    def _send(self, corners: Sequence[Shape]) -> torch.Tensor:
        if self._stream is None:
            pieces = [self.cut(corner)[None, None] for corner in corners]
            return (torch.cat(pieces) if len(pieces) > 1 else pieces[0]).to(self._device)
        host, sent = self._host_buffer(len(corners))
        for number, corner in enumerate(corners):
            host[number, 0].copy_(self.cut(corner))
        with torch.cuda.stream(self._stream):
            windows = host.to(self._device, non_blocking=True)
            sent.record()
        return windows

    def _host_buffer(self, count: int) -> tuple[torch.Tensor, torch.cuda.Event]:
        """Page-locked memory for ``count`` windows whose last content has arrived."""
        if len(self._buffers) < HOST_BUFFERS:
            shape = (count, 1, *self._window)
            self._buffers.append((torch.empty(shape, dtype=self._image.dtype, pin_memory=True), torch.cuda.Event()))
            return self._buffers[-1]
        host, sent = self._buffers.pop(0)
        sent.synchronize()
        if host.shape[0] < count:
            host = torch.empty((count, 1, *self._window), dtype=self._image.dtype, pin_memory=True)
        self._buffers.append((host, sent))
        return host[:count], sent
