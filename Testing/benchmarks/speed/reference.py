"""The reference: MONAI's own transforms and sliding window, as its tutorials and bundles put them together.

LoadImaged, Orientationd, Spacingd, ScaleIntensityRanged, CropForegroundd, ``sliding_window_inference`` (overlap 0.5,
Gaussian, eager float32), Invertd, AsDiscreted. The network is MONAI's own UNETR with the same weights; only a compact
or gated network, which MONAI has not, is this project's class run plainly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor, decollate_batch, set_track_meta
from monai.inferers import sliding_window_inference
from monai.networks.nets import UNETR
from monai.transforms import (
    AsDiscreted,
    Compose,
    CropForegroundd,
    EnsureChannelFirstd,
    Invertd,
    LoadImaged,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)

from agunetr.models.bundle import ModelBundle

OVERLAP = 0.5
MONAI_LAYERS = 12


def reference_network(bundle: ModelBundle) -> torch.nn.Module:
    """The network of a model as MONAI has it: eager, float32, the default memory layout."""
    config = bundle.network_config
    plain = bundle.network()
    if config.gates or config.layers != MONAI_LAYERS:
        return plain.eval()
    network = UNETR(
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        img_size=config.window,
        feature_size=config.feature_size,
        hidden_size=config.hidden_size,
        mlp_dim=config.mlp_dim,
        num_heads=config.heads,
        norm_name="instance",
        res_block=True,
    )
    network.load_state_dict(plain.state_dict())
    return network.eval()


class MonaiChain:
    """MONAI's transforms before and after the network.

    Args:
        spacing_mm, intensity_range: of the model.
    """

    def __init__(self, spacing_mm: tuple[float, ...], intensity_range: tuple[float, float]) -> None:
        set_track_meta(True)  # what Invertd undoes is kept in the images' metadata
        low, high = intensity_range
        self.before = Compose(
            [
                LoadImaged("image"),
                EnsureChannelFirstd("image"),
                Orientationd("image", axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S"))),
                Spacingd("image", pixdim=tuple(spacing_mm), mode="bilinear"),
                ScaleIntensityRanged("image", a_min=low, a_max=high, b_min=0.0, b_max=1.0, clip=True),
                CropForegroundd("image", source_key="image", allow_smaller=True),
            ]
        )
        self.after = Compose(
            [
                Invertd("pred", transform=self.before, orig_keys="image", nearest_interp=False, to_tensor=True),
                AsDiscreted("pred", argmax=True),
            ]
        )

    def prepare(self, file: str | Path) -> dict[str, Any]:
        """A CT file as the network sees it; ``image`` is (1, R, A, S)."""
        return self.before({"image": str(file)})

    def restore(self, prepared: dict[str, Any], logits: torch.Tensor) -> np.ndarray:
        """(2, R, A, S) logits to the mask on the file's own grid, (z, y, x) uint8."""
        prepared["pred"] = MetaTensor(torch.as_tensor(logits))  # Invertd leaves any other tensor as it is
        mask = self.after(prepared)["pred"]
        return np.asarray(mask[0], dtype=np.uint8).transpose(2, 1, 0)


class MonaiPipeline:
    """From a CT file to a mask on its grid, all of it MONAI's."""

    def __init__(self, bundle: ModelBundle) -> None:
        self.chain = MonaiChain(bundle.spacing_mm, bundle.intensity_range)
        self.network = reference_network(bundle)
        self.window = bundle.window

    @torch.no_grad()
    def segment(self, file: str | Path) -> np.ndarray:
        """The mask (z, y, x) uint8 of one CT."""
        prepared = self.chain.prepare(file)
        image = prepared["image"][None]
        logits = sliding_window_inference(image, self.window, 1, self.network, overlap=OVERLAP, mode="gaussian")
        return self.chain.restore(prepared, decollate_batch(logits)[0])
