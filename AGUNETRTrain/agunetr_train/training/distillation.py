"""A compact student learns from a full-size teacher: what the teacher says of every training case, computed once.

The teacher segments each whole training case with this project's own inferer, on its own grid and with its own windows,
exactly as it would for a user. Its answer is then brought to the student's grid and kept on disk as a soft map, which
is cut and augmented together with the image and the mask. A training step therefore costs no more with a teacher than
without, teacher and student may differ in spacing, window and size, and the teacher sees all around a patch.

What is kept is the sigmoid of the teacher's logit difference divided by the temperature: softened once, before it is
interpolated, so that a voxel at the border lies between its neighbours also after augmentation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from agunetr.errors import InputError, ModelError
from agunetr.inference.body import body_box
from agunetr.inference.grids import image_tensor, tensor_volume
from agunetr.inference.inferer import WindowInferer
from agunetr.inference.reading import read_volume
from agunetr.inference.resampling import prepare, prepared_grid, restore
from agunetr.inference.torch_backend import TorchBackend
from agunetr.inference.volume import Volume
from agunetr.models import weights
from agunetr.models.library import ModelLibrary
from agunetr.models.loading import load_bundle
from agunetr.models.metadata import METADATA
from agunetr.networks.unetr import GatedUNETR
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import content_key, save_prepared
from agunetr_train.evaluation.trained_model import trained_network
from agunetr_train.experiments.definition import Stage
from agunetr_train.training.warm_start import job_of_folder

FORMAT = 1
"""Part of the cache key; grows when the maps change."""


@dataclass(frozen=True)
class TeacherModel:
    """A trained network and what its images look like.

    Attributes:
        network: with two classes.
        spacing_mm: along (R, A, S).
        intensity_range: HU that become 0 and 1.
        identity: differs between any two sets of weights.
    """

    network: GatedUNETR
    spacing_mm: tuple[float, float, float]
    intensity_range: tuple[float, float]
    identity: str


class Teacher:
    """Makes and keeps the soft maps of training cases.

    Args:
        model: the teacher; its network becomes the teacher's own.
        temperature: by which its logits are divided.
        device: where it runs.
        say: told of every case that it looks at.
    """

    def __init__(
        self,
        model: TeacherModel,
        temperature: float,
        device: torch.device | str = "cpu",
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.model = model
        self.temperature = temperature
        self.device = torch.device(device)
        self.say = say
        self._backend = TorchBackend(model.network, self.device)
        self._last: tuple[str, Volume] | None = None

    def map_of(self, case: Case, spacing_mm: float, intensity_range: tuple[float, float], cache: Path) -> Path:
        """The file of the soft map of a case, made if it is not there yet.

        Args:
            case: a training case.
            spacing_mm, intensity_range: of the student; they fix its grid.
            cache: folder of prepared cases.

        Returns:
            A file for :func:`agunetr_train.data.preparation.map_prepared` with ``teacher``, (1, R, A, S) float16 in
            [0, 1], on the grid of the prepared case of the same spacing and intensities. Two processes may ask at
            once: the last rename wins, with equal contents.

        Raises:
            InputError: the CT cannot be read.
            OutputError: the cache cannot be written to.
        """
        image = content_key(case.image)
        key = (FORMAT, self.model.identity, self.temperature, spacing_mm, tuple(intensity_range), image)
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        target = cache / f"{case.name}-{spacing_mm:g}mm-teacher-{digest}.safetensors"
        if target.is_file():
            return target
        scan, _ = read_volume(case.image)
        grid = prepared_grid(scan, (spacing_mm,) * 3, body_box(scan, intensity_range[0]))
        soft = restore(self._soft(case.name, image, scan), grid, negligible=0.0)
        soft = torch.from_numpy(np.ascontiguousarray(soft.transpose(2, 1, 0)[None], dtype=np.float16))
        save_prepared({"teacher": soft}, target, case)
        return target

    def _soft(self, name: str, checksum: str, scan: Volume) -> Volume:
        """The softened answer on the teacher's own grid; kept for the other spacings of the same case."""
        if self._last is None or self._last[0] != checksum:
            self.say(f"The teacher looks at {name}.")
            seen = prepare(scan, self.model.spacing_mm, self.model.intensity_range)
            inferer = WindowInferer(self.model.network.config.window, device=self.device)
            logits = inferer.infer(self._backend.predict, image_tensor(seen)).logit_difference
            self._last = (checksum, tensor_volume((logits / self.temperature).sigmoid(), seen))
        return self._last[1]


def make_teacher(
    stage: Stage, device: torch.device | str = "cpu", say: Callable[[str], None] = lambda text: None
) -> Teacher | None:
    """The teacher of a stage, or None where it has none.

    Raises:
        InputError: it is the job of a run that has no weights yet.
        ModelError: there is no such model, or it has more than two classes.
    """
    if stage.teacher is None:
        return None
    return Teacher(find_teacher(stage.teacher), stage.distillation_temperature, device, say)


def find_teacher(source: str) -> TeacherModel:
    """A model folder, the name of a model of this machine, or a job's folder of a run.

    Raises:
        InputError: there is no such model, or it is the job of a run that has no weights yet.
        ModelError: the model cannot be used, or has more than two classes.
    """
    model = _job_teacher(source) or _bundle_teacher(source)
    if model.network.config.out_channels != 2:
        raise ModelError(
            f"The teacher {source} tells {model.network.config.out_channels} classes apart.", "Use one with two."
        )
    return model


def _bundle_teacher(source: str) -> TeacherModel:
    folder = Path(source)
    if len(folder.parts) > 1 and not folder.exists():
        raise InputError(
            f"There is no teacher at {folder.absolute()}.",
            "Train it there first, or name another run's job or a model as the teacher of the stage.",
        )
    bundle = load_bundle(folder) if (folder / METADATA).is_file() else ModelLibrary().find(source)
    return TeacherModel(bundle.network(), tuple(bundle.spacing_mm), tuple(bundle.intensity_range), bundle.checksum)


def _job_teacher(source: str) -> TeacherModel | None:
    found = job_of_folder(Path(source))
    if found is None:
        return None
    run, job = found
    network = trained_network(run, job)
    identity = hashlib.sha256(weights.encode(network.state_dict(), half=False)).hexdigest()
    experiment = run.experiment()
    return TeacherModel(network, (experiment.spacing_mm,) * 3, experiment.intensity_range, identity)
