"""What the Slicer-side tests share: scenes with a CT, and the files that a worker would have written for it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def orientationMatrix(permutation, signs, spacing=(0.8, 1.1, 2.5), origin=(12.5, -31.0, 140.25)) -> np.ndarray:
    """IJK to RAS with the axes along the given anatomical directions."""
    matrix = np.eye(4)
    matrix[:3, :3] = 0
    for axis, (row, sign) in enumerate(zip(permutation, signs, strict=True)):
        matrix[row, axis] = sign * spacing[axis]
    matrix[:3, 3] = origin
    return matrix


ALL_ORIENTATIONS = [
    (permutation, signs)
    for permutation in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]


def rotation(degrees: float, axis=(1.0, 2.0, 3.0)) -> np.ndarray:
    """A rigid 4x4 rotation about *axis*."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return matrix


def addVolume(scene, matrix: np.ndarray, shape=(8, 10, 12), name="CT", className="vtkMRMLScalarVolumeNode"):
    """A volume of int16 noise, ``(k, j, i)`` = *shape*."""
    volumeNode = scene.AddNewNodeByClass(className, name)
    array = np.random.default_rng(7).integers(-1000, 1000, shape).astype(np.int16)
    slicer.util.updateVolumeFromArray(volumeNode, array)
    volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return volumeNode


def addTransform(scene, matrix: np.ndarray, name="Transform"):
    """A linear transform node, 4x4 to parent."""
    transformNode = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    transformNode.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return transformNode


def image(array: np.ndarray, ijkToRas: np.ndarray) -> sitk.Image:
    """A SimpleITK image (LPS) of an array ``(k, j, i)`` that stands where the matrix says."""
    lps = RAS_TO_LPS @ ijkToRas
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    result = sitk.GetImageFromArray(array)
    result.SetSpacing(spacing.tolist())
    result.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    result.SetOrigin(lps[:3, 3].tolist())
    return result


def imageMatrix(readImage: sitk.Image) -> np.ndarray:
    """IJK to RAS of a SimpleITK image."""
    matrix = np.eye(4)
    direction = np.array(readImage.GetDirection()).reshape(3, 3)
    matrix[:3, :3] = direction @ np.diag(readImage.GetSpacing())
    matrix[:3, 3] = readImage.GetOrigin()
    return RAS_TO_LPS @ matrix


def ballMask(shape=(8, 10, 12), box=((2, 5), (3, 7), (4, 10))) -> np.ndarray:
    """A lopsided block, so that no flip or transposition maps it onto itself."""
    mask = np.zeros(shape, np.uint8)
    (k0, k1), (j0, j1), (i0, i1) = box
    mask[k0:k1, j0:j1, i0:i1] = 1
    mask[k0, j0, i0 - 1] = 1
    return mask


def writeResult(folder: Path, job, mask: np.ndarray, models=("compact-base", "compact-gated"), attention=True) -> dict:
    """Write masks, maps and result.json as the worker does; maps stand on a grid of their own, in world RAS."""
    folder.mkdir(parents=True)
    entries = []
    for number, name in enumerate(models):
        sitk.WriteImage(image(mask, job.ijkToWorld), str(folder / f"{name}.nii.gz"))
        entry = {
            "name": name, "title": f"Title of {name}", "variant": "agunetr-v2", "checksum": f"{number}" * 64,
            "mask": f"{name}.nii.gz", "volume_ml": 123.5 + number, "voxels": int(mask.sum()),
            "longest_axis_mm": 98.7, "mean_hu": 110.2 if mask.any() else None, "attention": {},
            "warnings": [] if mask.any() else [{"kind": "empty", "message": "No spleen was found."}],
            "seconds": {"infer": 1.0}, "windows": 8,
        }
        if attention and name.endswith("gated"):
            gridMatrix = orientationMatrix((0, 1, 2), (1, 1, 1), (2.0, 2.0, 2.0), job.ijkToWorld[:3, 3])
            values = np.linspace(0, 1, 6 * 5 * 4).reshape(6, 5, 4).astype(np.float32)
            for gate in ("enc1", "enc2"):
                sitk.WriteImage(image(values, gridMatrix), str(folder / f"{name}_{gate}.nii.gz"))
                entry["attention"][gate] = f"{name}_{gate}.nii.gz"
        entries.append(entry)
    result = {
        "format": 1, "agunetr_version": "0.1.0", "input": {}, "device": "cpu", "device_reason": "no GPU",
        "precision": "exact", "precision_reason": "", "warnings": [], "seconds": {"total": 2.0}, "models": entries,
        "agreement": [{"first": models[0], "second": models[1], "dice": 0.875}] if len(models) == 2 else [],
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return result


def nodeNames(scene) -> list[str]:
    """Every node as class and id, for "the scene is as it was"."""
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    return [f"{node.GetClassName()} {node.GetID()} {node.GetName()}" for node in nodes]
