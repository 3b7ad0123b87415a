"""The steps that ``configs/inference.json`` names: this project's way of a volume as MONAI transforms and inferer.

Reading, resampling, blending, restoring and cleaning are the very functions that :mod:`agunetr.inference.segmenter`
calls, so a model run by ``python -m monai.bundle run`` gives the same mask. Between the steps an image is a
``MetaTensor`` (channel, R, A, S) with MONAI's affine (index to RAS+ mm), so MONAI's own transforms can be put in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import MapTransform

from agunetr.errors import InputError, ModelError, OutputError
from agunetr.inference.grids import image_tensor
from agunetr.inference.inferer import WindowInferer
from agunetr.inference.reading import ENDINGS, read_volume
from agunetr.inference.resampling import prepare
from agunetr.inference.restoring import mask_on_input
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_volume
from agunetr.models.loading import load_bundle


def find_volumes(path: str | Path) -> list[str]:
    """The CTs to segment: one file, the volume files of a folder by name, or else the folder as one DICOM series.

    Raises:
        InputError: there is no such file or folder.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist.", "Name a CT or a folder with --dataset_dir.")
    if path.is_file():
        return [str(path)]
    files = sorted(entry for entry in path.iterdir() if entry.is_file() and entry.name.lower().endswith(ENDINGS))
    return [str(entry) for entry in files] or [str(path)]


def load_weights_of_bundle(network: torch.nn.Module, bundle_root: str | Path) -> None:
    """Loads the verified weights of the model in ``bundle_root`` into ``network``.

    Raises:
        ModelError: the folder is no model, is damaged, or the network is another one.
    """
    bundle = load_bundle(Path(bundle_root).absolute())
    if network.config != bundle.network_config:
        raise ModelError(
            "network_def in configs/inference.json is not the network in configs/metadata.json.",
            "Leave network_def as it was exported.",
        )
    network.load_state_dict(bundle.network().state_dict())


class LoadPreparedd(MapTransform):
    """Reads a CT, refuses or checks it, and brings it to the model's grid and intensities.

    Args:
        keys: where the paths are; each is replaced by a float32 ``MetaTensor`` (1, R, A, S) in [0, 1].
        spacing_mm: the model's spacing along (R, A, S).
        intensity_range: HU that map to 0 and 1.
        body_crop: leave out the air around the body.
        allow_missing_keys: see MONAI.

    Raises:
        InputError: a CT cannot be read or cannot be segmented.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spacing_mm: Sequence[float],
        intensity_range: Sequence[float],
        body_crop: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.spacing_mm = tuple(spacing_mm)
        self.intensity_range = tuple(intensity_range)
        self.body_crop = body_crop

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data with images in place of paths."""
        result = dict(data)
        for key in self.key_iterator(result):
            source, _ = read_volume(result[key])
            prepared = prepare(source, self.spacing_mm, self.intensity_range, body_crop=self.body_crop)
            result[key] = MetaTensor(
                image_tensor(prepared)[0],
                affine=torch.as_tensor(prepared.ijk_to_ras),
                meta={
                    "filename_or_obj": str(result[key]),
                    "source_size": np.asarray(source.size),
                    "source_affine": source.ijk_to_ras,
                },
            )
        return result


class BlendingInferer(Inferer):
    """Sliding windows with Gaussian blending, as :class:`~agunetr.inference.inferer.WindowInferer` does it.

    Args:
        window: voxels along (R, A, S).
        overlap: share of a window that neighbours have in common.
        batch: windows predicted at once.
    """

    def __init__(self, window: Sequence[int], overlap: float = 0.5, batch: int = 1) -> None:
        super().__init__()
        self._inferer = WindowInferer(window, overlap, batch)

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """(1, 1, R, A, S) image to the logit difference, foreground less background, (1, 1, R, A, S) on the CPU."""
        image = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        blended = self._inferer.infer(lambda windows: network(windows, *args, **kwargs), image)
        return blended.logit_difference[None, None]


class RestoreMaskd(MapTransform):
    """From the logit difference on the model's grid to the mask on the CT's own grid.

    Args:
        keys: where the logit differences (1, R, A, S) are; each is replaced by a uint8 ``MetaTensor`` (1, i, j, k).
        image_key: where :class:`LoadPreparedd` left the image.
        threshold: foreground is where the probability is greater.
        largest_component, fill_holes: see :mod:`agunetr.inference.cleanup`.
        allow_missing_keys: see MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        image_key: str = "image",
        threshold: float = 0.5,
        largest_component: bool = True,
        fill_holes: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_key = image_key
        self.threshold = threshold
        self.largest_component = largest_component
        self.fill_holes = fill_holes

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data with masks in place of logits."""
        result = dict(data)
        image = result[self.image_key]
        size = tuple(int(edge) for edge in np.asarray(image.meta["source_size"]).ravel())
        source = _grid(size, np.asarray(image.meta["source_affine"]).reshape(4, 4))
        prepared = _grid(tuple(image.shape[1:]), np.asarray(image.affine).reshape(4, 4))
        for key in self.key_iterator(result):
            logits = torch.as_tensor(result[key])[0]
            mask = mask_on_input(logits, prepared, source, self.threshold, self.largest_component, self.fill_holes)
            result[key] = MetaTensor(
                torch.from_numpy(mask.transpose(2, 1, 0))[None],
                affine=torch.as_tensor(source.ijk_to_ras),
                meta={"filename_or_obj": image.meta["filename_or_obj"]},
            )
        return result


class SaveMaskd(MapTransform):
    """Writes each mask as ``output_dir/<case>_spleen.nii.gz``, whole or not at all, and never over another file.

    Args:
        keys: where the masks of :class:`RestoreMaskd` are.
        output_dir: made where it does not exist.
        allow_missing_keys: see MONAI.

    Raises:
        OutputError: a mask of that name exists, or it cannot be written.
    """

    def __init__(self, keys: KeysCollection, output_dir: str | Path, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = Path(output_dir)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data, unchanged."""
        for key in self.key_iterator(data):
            mask = data[key]
            path = self.output_dir / f"{case_name(mask.meta['filename_or_obj'])}_spleen.nii.gz"
            if path.exists():
                raise OutputError(f"{path} exists already.", "Choose another folder with --output_dir.")
            try:
                self.output_dir.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                problem = f"The folder {self.output_dir} cannot be made ({error.strerror})."
                raise OutputError(problem, "Choose another folder with --output_dir.") from error
            voxels = np.ascontiguousarray(mask.as_tensor()[0].numpy().transpose(2, 1, 0))
            write_volume(Volume(voxels, np.asarray(mask.affine)), path)
        return dict(data)


def case_name(path: str | Path) -> str:
    """The file's or folder's name without the ending of its format."""
    name = Path(path).absolute().name
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)] or "case"


def _grid(size: tuple[int, ...], ijk_to_ras: np.ndarray) -> Volume:
    """A grid alone: one voxel's memory, whatever the size (i, j, k)."""
    return Volume(np.broadcast_to(np.uint8(0), size[::-1]), ijk_to_ras)
