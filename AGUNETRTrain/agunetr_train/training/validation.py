"""Validation: whole cases through this project's own inferer, scored by MONAI's Dice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.handlers import IgniteMetricHandler, from_engine
from monai.inferers import Inferer
from monai.metrics import DiceMetric
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from agunetr.inference.inferer import WindowInferer
from agunetr.networks.unetr import GatedUNETR
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import map_prepared
from agunetr_train.experiments.definition import Experiment, Stage
from agunetr_train.training.distributed import Processes
from agunetr_train.training.prepared_files import prepared_files

DICE = "dice"


class WholeCases(Dataset):
    """Prepared cases: (1, R, A, S) ``image`` in [0, 1] and ``label``, 0 or 1, and the ``case``'s name."""

    def __init__(self, names: Sequence[str], files: Sequence[Path]) -> None:
        self.names = tuple(names)
        self.files = tuple(files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> dict[str, Any]:
        item = map_prepared(self.files[number])
        label = (item["label"] > 0.5).float()
        return {"image": item["image"].float(), "label": label, "case": self.names[number]}


class MaskInferer(Inferer):
    """:class:`agunetr.inference.inferer.WindowInferer` for MONAI's evaluator.

    Args:
        window: (R, A, S) voxels.
        overlap: of neighbouring windows.
        device: where the network runs.
        dtype: of autocast, the same as in training; None computes in float32.
        cancelled: asked between windows.
    """

    def __init__(
        self,
        window: Sequence[int],
        overlap: float,
        device: torch.device,
        dtype: torch.dtype | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        # On a GPU as many windows at once as its memory holds; on a CPU one at a time is quickest.
        self._inferer = WindowInferer(window, overlap, batch=None if device.type == "cuda" else 1, device=device)
        self._device = device
        self._dtype = dtype
        self._cancelled = cancelled

    def __call__(self, inputs: Tensor, network: Callable, *args: Any, **kwargs: Any) -> Tensor:
        """(1, 1, R, A, S) image to the mask of the same shape, 0 or 1.

        Raises:
            Cancelled: the user asked to stop.
        """

        def predict(windows: Tensor) -> Tensor:
            with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
                return network(windows).float()

        found = self._inferer.infer(predict, inputs, cancelled=self._cancelled)
        return (found.logit_difference > 0).float()[None, None].to(inputs.device)


class Validation:
    """Validates a network and knows the Dice of every case afterwards.

    Each of several processes takes its share of the cases; all know all scores.

    Args:
        experiment, stage: what is trained.
        network: what is validated: the averaged weights where the stage averages them.
        cases: of validation, at least one.
        cache: folder of prepared cases.
        device: where it runs.
        dtype: of autocast, or None.
        processes: those that train together.
        stop: asked between windows; heeded where there is one process, for others would wait for it.

    Attributes:
        cases: as the network sees them.
        evaluator: MONAI's engine, for handlers.
    """

    def __init__(
        self,
        experiment: Experiment,
        stage: Stage,
        network: GatedUNETR,
        cases: Sequence[Case],
        cache: Path,
        device: torch.device,
        dtype: torch.dtype | None,
        processes: Processes,
        stop: Callable[[], bool],
    ) -> None:
        files = prepared_files(experiment, cases, (experiment.spacing_mm,), cache, processes, stop)
        self.cases = WholeCases([case.name for case in cases], [file for (file,) in files])
        # A process that has no case of its own repeats the first one: MONAI gathers the scores of all.
        self._shares = [range(rank, len(cases), processes.count) or range(1) for rank in range(processes.count)]
        self.evaluator = SupervisedEvaluator(
            device=device,
            val_data_loader=DataLoader(Subset(self.cases, self._shares[processes.rank])),
            network=network,
            inferer=MaskInferer(
                network.config.window,
                stage.validation_overlap,
                device,
                dtype,
                stop if processes.count == 1 else None,
            ),
            key_val_metric={
                DICE: IgniteMetricHandler(
                    metric_fn=DiceMetric(ignore_empty=False), output_transform=_mask_and_label, save_details=True
                )
            },
            decollate=False,
        )

    @property
    def by_case(self) -> dict[str, float]:
        """The Dice of every case of the last validation."""
        names = [self.cases.names[number] for share in self._shares for number in share]
        values = self.evaluator.state.metric_details[DICE].flatten().tolist()
        return dict(sorted(zip(names, values, strict=True)))

    @property
    def mean(self) -> float:
        """The mean over cases of the last validation."""
        return sum(self.by_case.values()) / len(self.by_case)

    @property
    def seconds(self) -> float:
        """How long the last validation took."""
        return float(self.evaluator.state.times[Events.COMPLETED.name] or 0.0)


def _mask_and_label(output: Any) -> tuple[Any, Any]:
    return from_engine(["pred", "label"])(output)
