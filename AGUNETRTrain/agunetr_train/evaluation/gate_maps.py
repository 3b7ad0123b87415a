"""The attention maps of one case, for the report's figures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import SimpleITK as sitk
import torch

from agunetr.inference.resampling import restore
from agunetr.inference.segmenter import Segmenter
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_json, write_volume
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import read_case
from agunetr_train.evaluation.scoring import score_options
from agunetr_train.evaluation.trained_model import trained_model
from agunetr_train.experiments.jobs import Job
from agunetr_train.run_folder import RunFolder


def gate_maps_of(
    run: RunFolder,
    job: Job,
    case: Case,
    device: torch.device | str = "auto",
    say: Callable[[str], None] = print,
) -> dict[str, Volume]:
    """The map of every gate for one case, on the case's own grid.

    The network is run on the whole scan, with the weights that are scored. Its maps are kept in ``RUN/<job>/maps`` on
    the network's grid and are taken from there the next time, as long as the weights are the same.

    Args:
        run, job: whose gates.
        case: the scan; its mask is not used.
        device: where the network is run.
        say: told before the network is run, which takes a while.

    Returns:
        Gate name to (z, y, x) float32 in [0, 1], linear between the network's voxels and 0 in the air around the
        patient; empty for a network without gates.

    Raises:
        InputError: the job has no checkpoint, or the scan cannot be read.
        DeviceError: there is no such device.
        OutputError: the maps cannot be kept.
    """
    if not run.experiment().network_config(job.stage).gates:
        return {}
    image, _ = read_case(case)
    with trained_model(run, job, say) as model:
        folder = run.job(job) / "maps"
        maps = _kept(folder, case, model.checksum)
        if maps is None:
            say(f"{job.name}: computing the attention maps of {case.name}")
            options = dataclasses.replace(score_options(device), attention=("all",))
            maps = Segmenter().segment(image, model, options=options).attention
            _keep(folder, case, model.checksum, maps)
    return {gate: image.with_array(restore(found, image)) for gate, found in maps.items()}


def _kept(folder: Path, case: Case, checksum: str) -> dict[str, Volume] | None:
    try:
        record = json.loads((folder / f"{case.name}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if record["weights"] != checksum:
        return None
    files = {gate: folder / f"{case.name}_{gate}.nii.gz" for gate in record["gates"]}
    if not all(path.is_file() for path in files.values()):
        return None
    return {gate: Volume.from_sitk(sitk.ReadImage(str(path)), copy=False) for gate, path in files.items()}


def _keep(folder: Path, case: Case, checksum: str, maps: Mapping[str, Volume]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for gate, found in maps.items():
        write_volume(found, folder / f"{case.name}_{gate}.nii.gz", overwrite=True)
    write_json({"weights": checksum, "gates": list(maps)}, folder / f"{case.name}.json", overwrite=True)
