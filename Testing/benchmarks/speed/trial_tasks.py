"""Ways of running a network or of blending that might pay: each is tried beside the plain way it would replace."""

from __future__ import annotations

import importlib.util
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agunetr.inference.torch_backend import TorchBackend
from agunetr.inference.windows import gaussian_weights, lattice
from agunetr.models.bundle import ModelBundle, load_bundle
from agunetr.networks.inference_form import to_inference_form
from speed.rows import NotMeasured
from speed.tasks import keep_mask
from speed.window_tasks import read_window

Predict = Callable[[torch.Tensor], torch.Tensor]
"""Two windows (2, 1, R, A, S) to their logits (2, 2, R, A, S)."""


class WindowTrial:
    """Two windows (one and its mirror image) through a network, run in some way on the CPU, in float32.

    Args:
        bundle: folder of the model.
        window: ``.npy`` file with (R, A, S).
        way: a key of :data:`WAYS`.
        mask_file: where the masks go.
    """

    def __init__(self, bundle: str, window: str, way: str, mask_file: str | None = None) -> None:
        one = read_window(window)
        self._windows, self._mask_file = torch.cat([one, one.flip(2)]).contiguous(), mask_file
        began = time.perf_counter()
        self._predict = WAYS[way](load_bundle(bundle))
        self.run()
        self._preparing_s = round(time.perf_counter() - began, 2)

    @torch.inference_mode()
    def run(self) -> torch.Tensor:
        """Logits (2, 2, R, A, S)."""
        return self._predict(self._windows)

    def facts(self, value: torch.Tensor) -> dict[str, Any]:
        """How long it took to make it ready, first run included."""
        keep_mask((value[:, 1] > value[:, 0]).numpy(), self._mask_file)
        return {"preparing_s": self._preparing_s, "precision": "exact"}


def _torch(model: ModelBundle, **options: Any) -> Predict:
    backend = TorchBackend(model.network(), "cpu", "exact", **options)
    return lambda windows: backend.predict(windows)[0]


def _torch_on_one_thread(model: ModelBundle) -> Predict:
    predict = _torch(model)

    def alone(windows: torch.Tensor) -> torch.Tensor:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return predict(windows)
        finally:
            torch.set_num_threads(threads)

    return alone


def _torch_together(model: ModelBundle) -> Predict:
    return to_inference_form(model.network())


def _torch_int8(model: ModelBundle) -> Predict:
    try:
        from torch.ao.quantization import quantize_dynamic
    except ImportError as error:
        raise NotMeasured("This version of PyTorch has no dynamic quantisation.") from error
    return to_inference_form(quantize_dynamic(model.network(), {torch.nn.Linear}, dtype=torch.qint8))


def _openvino(
    model: ModelBundle, threads: int | None = None, together: int = 1, streams: int = 1, int8: bool = False
) -> Predict:
    """Compiled for ``together`` windows at once, and run as ``streams`` requests side by side."""
    from agunetr.inference.openvino_conversion import convert
    from agunetr.inference.openvino_runtime import core, openvino_fault, settings

    if fault := openvino_fault():
        raise NotMeasured(f"OpenVINO cannot be used: {fault}.")
    converted = convert(model.network(), model.window)
    if int8:
        if importlib.util.find_spec("nncf") is None:
            raise NotMeasured("OpenVINO quantises with the package nncf, which is not installed.")
        import nncf

        converted = nncf.compress_weights(converted)
    converted.reshape({converted.input(0): [together, 1, *model.window]})
    chosen = settings("exact", threads or torch.get_num_threads())
    if streams > 1:
        chosen |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams}
    compiled = core().compile_model(converted, "CPU", chosen)
    requests = [compiled.create_infer_request() for _ in range(2 // together)]

    def predict(windows: torch.Tensor) -> torch.Tensor:
        pieces = [piece.contiguous().numpy() for piece in windows.split(together)]
        if streams > 1:
            for request, piece in zip(requests, pieces, strict=True):
                request.start_async([piece])
            for request in requests:
                request.wait()
        else:
            for request, piece in zip(requests, pieces, strict=True):
                request.infer([piece])
        return torch.from_numpy(np.concatenate([request.output_tensors[0].data for request in requests]))

    return predict


WAYS: dict[str, Callable[[ModelBundle], Predict]] = {
    "torch": _torch,
    "torch-one-thread": _torch_on_one_thread,
    "torch-batch-2": _torch_together,
    "torch-int8-linear": _torch_int8,
    "torch-compile": lambda model: _torch(model, compile_network=True),
    "openvino": _openvino,
    "openvino-one-thread": lambda model: _openvino(model, threads=1),
    "openvino-batch-2": lambda model: _openvino(model, together=2),
    "openvino-streams-2": lambda model: _openvino(model, streams=2),
    "openvino-int8-weights": lambda model: _openvino(model, int8=True),
}


class AccumulatorTrial:
    """One weighted sum of the logit differences of a whole lattice, in some type of number.

    Args:
        shape: voxels of the image along (R, A, S).
        window: voxels of the window.
        seed: of the answers, of which five come round again and again.
        way: ``float32`` or ``float16``.
        mask_file: where the mask goes.
    """

    def __init__(self, shape: list[int], window: list[int], seed: int, way: str, mask_file: str | None = None) -> None:
        self._type, self._shape, self._mask_file = getattr(torch, way), tuple(shape), mask_file
        generator = torch.Generator().manual_seed(seed)
        weights = torch.from_numpy(gaussian_weights(window))
        self._said = [(torch.randn(tuple(window), generator=generator) * weights).to(self._type) for _ in range(5)]
        self._places = [
            tuple(slice(first, first + edge) for first, edge in zip(corner, window, strict=True))
            for corner in itertools.product(*lattice(shape, window, 0.5))
        ]

    def run(self) -> torch.Tensor:
        """The mask (R, A, S)."""
        total = torch.zeros(self._shape, dtype=self._type)
        for number, place in enumerate(self._places):
            total[place] += self._said[number % len(self._said)]
        return total > 0

    def facts(self, value: torch.Tensor) -> dict[str, Any]:
        """The type, and how many windows were added."""
        keep_mask(value.numpy(), self._mask_file)
        return {"precision": str(self._type).removeprefix("torch."), "windows": len(self._places)}
