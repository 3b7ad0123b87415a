"""One window through the network: ours with an engine, and MONAI's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agunetr.inference.backends import TorchBackend
from agunetr.models.bundle import ModelBundle, load_bundle
from speed.peak import window_gflop
from speed.reference import reference_network
from speed.rows import NotMeasured
from speed.tasks import keep_mask


class OurWindow:
    """A window through one of our engines on the CPU, warmed up once.

    Args:
        bundle: folder of the model.
        window: ``.npy`` file with (R, A, S) float32, as the network sees it.
        engine: ``torch`` or ``openvino``.
        precision: ``exact`` or ``fast``.
        mask_file: where the mask goes.
    """

    def __init__(self, bundle: str, window: str, engine: str, precision: str, mask_file: str | None = None) -> None:
        self._said = {"engine": engine, "precision": precision}
        self._mask_file = mask_file
        self._window = read_window(window)
        model = load_bundle(bundle)
        if engine == "torch":
            self._predict = TorchBackend(model.network(), "cpu", precision).predict
        else:
            self._predict = _openvino(model, precision)
        self.run()

    def run(self) -> torch.Tensor:
        """Logits (1, 2, R, A, S)."""
        return self._predict(self._window)[0]

    def facts(self, value: torch.Tensor) -> dict[str, Any]:
        """Engine, precision and how many voxels are foreground."""
        return self._said | _mask_facts(value, self._mask_file)


class MonaiWindow:
    """The same window through MONAI's network: eager, float32."""

    def __init__(self, bundle: str, window: str, mask_file: str | None = None) -> None:
        self._window = read_window(window)
        self._network = reference_network(load_bundle(bundle))
        self._mask_file = mask_file
        self._gflop = window_gflop(self._network, tuple(self._window.shape[2:]))
        self.run()

    @torch.no_grad()
    def run(self) -> torch.Tensor:
        """Logits (1, 2, R, A, S)."""
        return self._network(self._window)

    def facts(self, value: torch.Tensor) -> dict[str, Any]:
        """The work of a window, and how many voxels are foreground."""
        return {"window_gflop": self._gflop} | _mask_facts(value, self._mask_file)


def read_window(file: str) -> torch.Tensor:
    """(1, 1, R, A, S) of an ``.npy`` file."""
    return torch.from_numpy(np.load(file))[None, None].float()


def _openvino(model: ModelBundle, precision: str) -> Callable[[torch.Tensor], tuple[torch.Tensor, Any]]:
    try:
        from agunetr.inference.openvino_backend import OpenVinoBackend
    except ModuleNotFoundError as error:
        raise NotMeasured(f"This version of the engine has no OpenVINO back end ({error.name} is missing).") from error
    return OpenVinoBackend(model, precision).predict


def _mask_facts(logits: torch.Tensor, mask_file: str | None) -> dict[str, Any]:
    mask = (logits[0, 1] > logits[0, 0]).cpu().numpy()
    keep_mask(mask, mask_file)
    return {"foreground": int(mask.sum())}
