"""The windows of one image on their way through a network and into the sums, batch after batch.

Where memory runs out, the batch that failed is taken up again with less at once; what was summed up before stays.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import torch

from agunetr.errors import MemoryExhausted, ModelError
from agunetr.inference.backends import memory_guard
from agunetr.inference.blending import Blend
from agunetr.inference.device_memory import DeviceMemory, give_back_unused, windows_that_fit, without_frames
from agunetr.inference.memory_ladder import MemoryLadder
from agunetr.inference.window_feed import WindowFeed
from agunetr.inference.windows import Shape

Prediction = torch.Tensor | tuple[torch.Tensor, Mapping[str, torch.Tensor]]
"""Logits (B, C, R, A, S), alone or with gate maps, each (B, 1, R, A, S)."""

Predictor = Callable[[torch.Tensor], Prediction]
"""Called with (B, 1, R, A, S) windows."""


class WindowRun:
    """One inference.

    Args:
        predict: the network.
        feed: where the windows come from.
        blend: where the answers go.
        ladder: how much to do at once, and what to give up.
        gates: names of the gate maps to blend.
        memory: tells what a window takes, to choose from the first one how many to compute at once; None leaves the
            choice to the ladder.
    """

    def __init__(
        self,
        predict: Predictor,
        feed: WindowFeed,
        blend: Blend,
        ladder: MemoryLadder,
        gates: Sequence[str] = (),
        memory: DeviceMemory | None = None,
    ) -> None:
        self._predict, self._feed, self._blend, self._ladder = predict, feed, blend, ladder
        self._gates, self._memory = tuple(gates), memory
        self._unchecked: deque[torch.Tensor] = deque()

    def step(self, waiting: deque[Shape]) -> None:
        """Predict and add the next batch, and take it off the left of ``waiting``; where memory runs out, less of it.

        Raises:
            ValueError: the prediction has another shape, or a gate map is missing.
            ModelError: the prediction holds values that are not finite.
            MemoryExhausted: nothing is left that could be given up.
        """
        while True:
            corners = tuple(itertools.islice(waiting, self._ladder.batch))
            following = tuple(itertools.islice(waiting, len(corners), len(corners) + self._ladder.batch))
            try:
                self._add_batch(corners, following)
            except MemoryExhausted as error:
                failure = without_frames(error)
            else:
                break
            # Outside the except clause: there, the interpreter still holds the failed call's tensors.
            self._take_less(failure, len(corners))
        for _ in corners:
            waiting.popleft()

    def finish(self) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See :meth:`Blend.finish`.

        Raises:
            ModelError: the last predictions hold values that are not finite.
            MemoryExhausted: nothing is left that could be given up.
        """
        self._check_finite(leave=0)
        self._feed.forget()
        while True:
            try:
                with memory_guard(self._blend.device):
                    return self._blend.finish(self._gates)
            except MemoryExhausted as error:
                failure = without_frames(error)
            self._take_less(failure, tried=0)

    def _add_batch(self, corners: Sequence[Shape], following: Sequence[Shape]) -> None:
        measuring = self._memory
        with memory_guard(self._feed.device):
            windows = self._feed.windows(corners)
            if measuring is not None:
                measuring.start()
            prediction = self._predict(windows)
            taken = measuring.peak_bytes() if measuring is not None else 0
            if measuring is None:
                self._feed.send_ahead(following)  # while a GPU still works on these
            difference, maps = self._understood(prediction, (len(corners), *windows.shape[2:]))
            # A sum is not finite where any term is not, and needs no second tensor.
            finite = difference.sum().isfinite()
        with memory_guard(self._blend.device):
            self._blend.add(corners, difference, maps)
        self._unchecked.append(finite)
        # Asking waits for the device, so a GPU is asked about the batch before, which is done or nearly so: it never
        # stands idle, and never has more than a batch before it when the user cancels.
        self._check_finite(leave=1 if self._feed.device.type != "cpu" else 0)
        if measuring is not None:
            self._memory = None
            self._ladder.batch = windows_that_fit(measuring.free_bytes(), -(-taken // len(corners)))

    def _understood(
        self, prediction: Prediction, expected: tuple[int, ...]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The logits less the background's, and the maps of the gates wanted, all float32."""
        logits, maps = (prediction, {}) if isinstance(prediction, torch.Tensor) else prediction
        if logits.ndim != 5 or (logits.shape[0], *logits.shape[2:]) != expected:
            raise ValueError(f"predict must return (B, C, R, A, S) with B, R, A, S = {expected}, not {logits.shape}.")
        for name in self._gates:
            if name not in maps:
                raise ValueError(f"predict returned no map of the gate {name!r}; it has {sorted(maps)}.")
        logits = logits.detach().float()
        difference = logits[:, 1:] - logits[:, :1] if logits.shape[1] > 1 else logits
        return difference, {name: maps[name].detach().float() for name in self._gates}

    def _check_finite(self, leave: int) -> None:
        """Look at all but the last ``leave`` answers."""
        while len(self._unchecked) > leave:
            if not bool(self._unchecked.popleft()):
                raise ModelError(
                    "The network gave values that are not finite numbers.",
                    "Run it again with the precision 'exact'; if that does not help, the model is damaged.",
                )

    def _take_less(self, failure: MemoryExhausted, tried: int) -> None:
        self._feed.forget()
        give_back_unused(self._feed.device)
        self._ladder.step_down(failure, tried)
        if self._blend.device.type != self._ladder.stitch_on.type:
            with memory_guard(self._ladder.stitch_on):
                self._blend.move_to(self._ladder.stitch_on)
            give_back_unused(self._feed.device)
