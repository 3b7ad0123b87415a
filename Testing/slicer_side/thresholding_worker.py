"""A worker without networks: speaks the engine's protocol and calls every positive voxel spleen."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk


def emit(event: str, **fields) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def segment(request: dict) -> None:
    job, model = request["job"], request["models"][0]
    emit("progress", job=job, stage="windows", done=0, total=1, seconds_left=None)
    if model == "crash":
        os._exit(9)
    if model == "refuse":
        emit("error", job=job, kind="input", message="The image is constant.", remedy="Choose a CT.")
        return
    if model == "gone":
        emit("error", job=job, kind="model", message="There is no model named 'gone'.", remedy="Choose another.")
        return
    if model == "wait":
        sys.stdin.readline()
        emit("error", job=job, kind="cancelled", message="Cancelled; nothing was written.", remedy="")
        return
    ct = sitk.ReadImage(request["volume"])
    mask = sitk.GetImageFromArray((sitk.GetArrayFromImage(ct) > 0).astype(np.uint8))
    mask.CopyInformation(ct)
    if model == "wrong-grid":
        mask.SetOrigin([value + 1.0 for value in ct.GetOrigin()])
    folder = Path(request["output"])
    folder.mkdir()
    sitk.WriteImage(mask, str(folder / f"{model}.nii.gz"))
    sitk.WriteImage(sitk.Cast(mask, sitk.sitkFloat32), str(folder / f"{model}_enc1.nii.gz"))
    emit("result", job=job, result={
        "format": 1, "agunetr_version": "0.1.0", "device": "cpu", "warnings": [], "agreement": [],
        "models": [{
            "name": model, "title": model, "checksum": "0" * 64, "mask": f"{model}.nii.gz",
            "voxels": int(sitk.GetArrayViewFromImage(mask).sum()), "volume_ml": 1.0, "mean_hu": 500.0,
            "longest_axis_mm": 30.0, "warnings": [],
            "attention": {"enc1": f"{model}_enc1.nii.gz"} if request["options"]["attention"] else {},
        }],
    })


def main() -> None:
    emit("ready", version="0", protocol=1, pid=os.getpid())
    for line in sys.stdin:
        request = json.loads(line)
        if request["command"] == "segment":
            segment(request)
        elif request["command"] == "models":
            emit("models", models=[{"name": "compact-base", "title": "Compact base"}, {"name": "wait"}], broken=[])
        elif request["command"] == "devices":
            emit("devices", devices=[{"name": "cpu", "title": "CPU (x86_64)", "free_bytes": 8e9, "fault": ""}])
        elif request["command"] == "shutdown":
            return


if __name__ == "__main__":
    main()
