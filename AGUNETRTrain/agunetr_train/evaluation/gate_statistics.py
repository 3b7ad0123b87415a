"""What the gates do while a network is trained: gamma, and how open they are inside and outside the spleen.

A gate that has learned where the spleen is passes more inside it than outside (Oktay et al. 2018, arXiv:1804.03999).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.networks.utils import eval_mode
from monai.transforms import SpatialPad
from monai.utils import convert_to_tensor

from agunetr.networks.unetr import GatedUNETR
from agunetr_train.run_folder import write_text

FOREGROUND = 0.5
"""A voxel of a soft mask above this is spleen."""


class GateStatistics:
    """After every validation, one row a gate in ``gates.jsonl``: ``{"epoch", "gate", "gamma", "inside", "outside"}``.

    ``inside`` and ``outside`` are the means of the gate's mask over the voxels of some windows that are spleen and
    that are not; ``gamma`` is null for a gate that has none. The windows are centred on voxels of the spleen and are
    the same at every validation. A network without gates writes nothing; of several processes the first alone does.

    Args:
        network: the network that is validated.
        items: the prepared validation cases, ``image`` and ``label`` of (1, R, A, S); only the windows are kept.
        path: of ``gates.jsonl``.
        windows_per_case: how many windows of each case are looked at.
    """

    def __init__(
        self,
        network: GatedUNETR,
        items: Iterable[Mapping[str, Any]],
        path: Path,
        windows_per_case: int = 1,
    ) -> None:
        self._network = network
        self._path = path
        self._active = bool(network.gate_names) and idist.get_rank() == 0
        self._windows = [
            window
            for item in (items if self._active else ())
            for window in _windows(item, network.config.window, windows_per_case)
        ]

    def attach(self, evaluator: Engine) -> None:
        """Listen to the validations; their epoch is that of the training, as MONAI's ``ValidationHandler`` sets it."""
        if self._windows:
            evaluator.add_event_handler(Events.COMPLETED, self._validated)

    def measure(self) -> list[dict[str, Any]]:
        """The rows of the network as it is now, without the epoch."""
        sums = {gate: torch.zeros(4, dtype=torch.float64) for gate in self._network.gate_names}
        device = next(self._network.parameters()).device
        for image, inside, outside in self._windows:
            with eval_mode(self._network), self._network.recording_gates():
                self._network(image[None].to(device))
                maps = self._network.gate_maps()
            for gate, values in maps.items():
                mask = values[0].cpu().double()
                sums[gate] += torch.stack([mask[inside].sum(), inside.sum(), mask[outside].sum(), outside.sum()])
        return [
            {"gate": gate, "gamma": self._gamma(gate), "inside": _mean(*found[:2]), "outside": _mean(*found[2:])}
            for gate, found in sums.items()
        ]

    def _gamma(self, gate: str) -> float | None:
        gamma = getattr(self._network.gates[gate], "gamma", None)
        return None if gamma is None else _rounded(gamma.item())

    def _validated(self, evaluator: Engine) -> None:
        epoch = evaluator.state.epoch
        # A resumed run may validate an epoch again whose checkpoint was never written.
        earlier = [row for row in read_gate_statistics(self._path) if row["epoch"] < epoch]
        rows = [*earlier, *({"epoch": epoch, **row} for row in self.measure())]
        write_text(self._path, "".join(json.dumps(row) + "\n" for row in rows))


def read_gate_statistics(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``gates.jsonl``, in order; none where there is no such file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _windows(
    item: Mapping[str, Any], window: tuple[int, int, int], count: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Image (1, R, A, S) of each window, and which of its voxels are spleen and which are other parts of the scan."""
    image, label = (torch.as_tensor(item[key]) for key in ("image", "label"))
    for centre in _centres(label[0] > FOREGROUND, count):
        # A window that would reach beyond the scan is moved back into it, as at inference.
        corner = [
            max(0, min(middle - edge // 2, size - edge))
            for middle, edge, size in zip(centre, window, image.shape[1:], strict=True)
        ]
        box = (slice(None), *(slice(start, start + edge) for start, edge in zip(corner, window, strict=True)))
        planes = torch.cat([image[box].float(), label[box].float(), torch.ones_like(image[box]).float()])
        values, mask, scan = convert_to_tensor(SpatialPad(window)(planes), track_meta=False).split(1)
        spleen = mask > FOREGROUND
        yield values.clone(), spleen, (scan > 0) & ~spleen


def _centres(spleen: torch.Tensor, count: int) -> list[list[int]]:
    """Voxels of the spleen, evenly from its lowest slice to its highest; the scan's middle where there is no spleen."""
    # Slices come first in the order, so that neighbours in the list are neighbours along the body.
    found = spleen.permute(2, 0, 1).nonzero()
    if not len(found):
        return [[edge // 2 for edge in spleen.shape]]
    ranks = dict.fromkeys(int((number + 0.5) / count * len(found)) for number in range(count))
    return [[int(r), int(a), int(s)] for s, r, a in (found[rank] for rank in ranks)]


def _mean(total: torch.Tensor, voxels: torch.Tensor) -> float | None:
    return _rounded(float(total / voxels)) if voxels else None


def _rounded(value: float) -> float | None:
    """Six digits; None for what JSON cannot hold, the maps of a network that has diverged."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
