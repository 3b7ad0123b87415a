"""What makes a model folder a MONAI Bundle: the other keys of its metadata, and ``configs/inference.json``.

The configuration names this project's own steps where the mask depends on them (see
:mod:`agunetr.models.monai_run`), and MONAI's for the rest, so that ``python -m monai.bundle run`` gives the same mask
as ``agunetr segment --engine torch --no-localise``, but for rounding. It is written for MONAI; AGUNETR itself never
reads it.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

from agunetr import __version__
from agunetr.models.metadata import CHANNELS, ModelDescription

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"


def monai_metadata(description: ModelDescription) -> dict[str, Any]:
    """The whole ``metadata.json``: MONAI's keys and our section."""
    low, high = description.intensity_range
    window = list(description.network.window)
    tensor = {"type": "image", "spatial_shape": window, "dtype": "float32", "is_patch_data": True}
    return {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": "first export"},
        "monai_version": _version("monai"),
        "pytorch_version": _version("torch"),
        "numpy_version": _version("numpy"),
        "required_packages_version": {
            "agunetr": __version__,
            "einops": _version("einops"),
            "pytorch-ignite": _version("pytorch-ignite"),
            "safetensors": _version("safetensors"),
            "SimpleITK": _version("SimpleITK"),
        },
        "name": description.title,
        "task": "Spleen segmentation in abdominal CT",
        "description": f"{description.title}. Research use only.",
        "authors": "AGUNETR contributors",
        "copyright": f"Licence of the weights: {description.licence}",
        "data_source": "; ".join(source["name"] for source in description.training_data),
        "data_type": "CT",
        "image_classes": f"one channel, {low:g} to {high:g} HU scaled to 0 to 1",
        "label_classes": "0 is background, 1 is spleen",
        "pred_classes": "two channels of logits: background, spleen",
        "eval_metrics": {"mean_dice": description.scores.get("mean_dice")},
        "intended_use": "Research use only; no medical device.",
        "references": [
            "Hatamizadeh et al. 2021, UNETR: Transformers for 3D Medical Image Segmentation, arXiv:2103.10504",
            "Oktay et al. 2018, Attention U-Net: Learning Where to Look for the Pancreas, arXiv:1804.03999",
        ],
        "network_data_format": {
            "inputs": {
                "image": {
                    **tensor,
                    "format": "hounsfield",
                    "modality": "CT",
                    "num_channels": 1,
                    "value_range": [0, 1],
                    "channel_def": {"0": "image"},
                }
            },
            "outputs": {
                "pred": {
                    **tensor,
                    "format": "logits",
                    "num_channels": len(CHANNELS),
                    "value_range": [],
                    "channel_def": {str(index): channel for index, channel in enumerate(CHANNELS)},
                }
            },
        },
        "agunetr": description.to_dict(),
    }


def inference_config(description: ModelDescription) -> dict[str, Any]:
    """``configs/inference.json``: masks of one CT, or of every CT of a folder.

    Of use on the command line: ``--dataset_dir`` (a CT, a DICOM series' folder, or a folder of CTs), ``--output_dir``,
    ``--device``, ``--overlap``, ``--threshold``.
    """
    run = "agunetr.models.monai_run"
    return {
        "imports": ["$import torch", f"$import {run} as monai_run"],
        "bundle_root": ".",
        "dataset_dir": "input",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "overlap": 0.5,
        "window_batch": 1,
        "threshold": 0.5,
        "largest_component": True,
        "fill_holes": True,
        "body_crop": True,
        "datalist": "$monai_run.find_volumes(@dataset_dir)",
        "network_def": {
            "_target_": "agunetr.networks.unetr.GatedUNETR",
            "config": {"_target_": "agunetr.networks.variants.NetworkConfig", **description.network.to_dict()},
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": f"{run}.LoadPreparedd",
                    "keys": "image",
                    "spacing_mm": list(description.spacing_mm),
                    "intensity_range": list(description.intensity_range),
                    "body_crop": "@body_crop",
                }
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': path} for path in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": 0,
        },
        "inferer": {
            "_target_": f"{run}.BlendingInferer",
            "window": list(description.network.window),
            "overlap": "@overlap",
            "batch": "@window_batch",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": f"{run}.RestoreMaskd",
                    "keys": "pred",
                    "image_key": "image",
                    "threshold": "@threshold",
                    "largest_component": "@largest_component",
                    "fill_holes": "@fill_holes",
                },
                {"_target_": f"{run}.SaveMaskd", "keys": "pred", "output_dir": "@output_dir"},
            ],
        },
        "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
            "amp": False,
        },
        "initialize": ["$monai_run.load_weights_of_bundle(@network_def, @bundle_root)"],
        "run": ["$@evaluator.run()"],
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
