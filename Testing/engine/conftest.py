"""What the tests of the command line and of the worker share: tiny models and a tiny CT, made in a second."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

if TYPE_CHECKING:
    from agunetr.models.bundle import ModelBundle

# The coarse models see the tiny CT in two windows; the fine one in many, for tests that need a long job.
TINY_MODELS = (
    ("tiny-base", "unetr", 6.0),
    ("tiny-gated", "agunetr-v2", 6.0),
    ("tiny-fine", "agunetr-v2", 3.0),
)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> Path:
    """A folder of untrained models for AGUNETR_MODELS; ``tiny-gated`` and ``tiny-fine`` have the gates enc1, enc2."""
    import torch

    from agunetr.models.bundle import save_bundle
    from agunetr.networks.variants import NetworkConfig, build_network

    folder = tmp_path_factory.mktemp("tiny models")
    size = {"window": (32, 32, 32), "feature_size": 4, "hidden_size": 24, "mlp_dim": 48, "heads": 2, "layers": 4}
    for name, variant, spacing in TINY_MODELS:
        torch.manual_seed(3)
        network = build_network(NetworkConfig(variant=variant, **size))
        save_bundle(
            folder / name,
            network,
            name=name,
            title=f"Untrained {variant} for tests",
            spacing_mm=(spacing,) * 3,
            intensity_range=(-175.0, 250.0),
            licence="Apache-2.0",
        )
    return folder


@pytest.fixture(scope="session")
def tiny_ct(tmp_path_factory) -> Path:
    """A NIfTI file: a body of water with a bright organ in air, 48x44x40 voxels of 4x4x5 mm."""
    z, y, x = np.mgrid[:40, :44, :48].astype(np.float32)
    voxels = np.full(z.shape, -1000, np.int16)
    body = ((x - 24) / 21) ** 2 + ((y - 22) / 17) ** 2 < 1
    voxels[body] = 20
    voxels[((x - 34) / 7) ** 2 + ((y - 28) / 6) ** 2 + ((z - 22) / 8) ** 2 < 1] = 120
    voxels[body] += np.random.default_rng(1).integers(-15, 15, int(body.sum()), dtype=np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((4.0, 4.0, 5.0))
    image.SetOrigin((-90.0, -80.0, 300.0))
    path = tmp_path_factory.mktemp("tiny ct") / "Jürgen 脾臓.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A tiny model folder, with a torch file; not to be changed."""
    from tiny_models import save_tiny

    return save_tiny(tmp_path_factory.mktemp("saved"), torch_file=True)


@pytest.fixture
def copy(saved: ModelBundle, tmp_path: Path) -> Path:
    """The same folder for a test to change."""
    return Path(shutil.copytree(saved.folder, tmp_path / "copy"))


@pytest.fixture(scope="session")
def phantom_cases(tmp_path_factory) -> Path:
    """A folder of four labelled phantoms, "one" to "four"; not to be changed."""
    from tiny_experiments import write_phantoms

    return write_phantoms(tmp_path_factory.mktemp("phantoms"))


@pytest.fixture(scope="session")
def prepared_cases(tmp_path_factory) -> Path:
    """The cache of prepared cases that trainings on ``phantom_cases`` share."""
    return tmp_path_factory.mktemp("prepared")
