"""What is to be said about a volume before a run: it cannot be segmented, or it is no CT by its values.

The engine checks every voxel once more; this looks at a sample, so that the panel can say it as soon as the volume is
chosen. The rules are the engine's.
"""

from __future__ import annotations

import math

import numpy as np
import slicer
import slicer.util

from .errors import SegmentationError
from .result_sets import GATE
from .translation import _
from .volume_job import checkVolume

SAMPLE_VOXELS = 200_000
FEWEST_SLICES = 16
THICKEST_SLICES_MM = 8.0
PADDING_GAP = 100.0


def volumeProblem(volumeNode) -> str:
    """Why the volume cannot be segmented, and what to do; empty where it can."""
    if volumeNode.GetAttribute(GATE):
        return _('"{name}" is an attention map. Select the CT itself.').format(name=volumeNode.GetName())
    try:
        checkVolume(volumeNode)
    except SegmentationError as error:
        return str(error)
    return ""


def firstVolume(scene):
    """The first volume of a scene that may be a CT: no label map and no attention map; None where there is none."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetAttribute(GATE):
            return node
    return None


class VolumeNotes:
    """What may make the result of a volume wrong; remembers the answer until the voxels change."""

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._note = ""

    def note(self, volumeNode) -> str:
        """Sentences for the user, empty where nothing is unusual.

        :param volumeNode: a volume that :func:`volumeProblem` accepts.
        """
        image = volumeNode.GetImageData()
        key = (volumeNode.GetID(), image.GetMTime(), volumeNode.GetSpacing())
        if key != self._key:
            self._key, self._note = key, _noteOf(volumeNode)
        return self._note


def _noteOf(volumeNode) -> str:
    sentences = []
    array = slicer.util.arrayFromVolume(volumeNode)
    reason = whyNotHounsfield(array)
    if reason:
        sentences.append(_("This does not look like a CT in Hounsfield units: {reason}").format(reason=reason))
    if min(array.shape) < FEWEST_SLICES:
        sentences.append(_("The scan has only {count} slices.").format(count=min(array.shape)))
    thickest = max(volumeNode.GetSpacing())
    if thickest > THICKEST_SLICES_MM + 1e-3:
        sentences.append(_("The slices are {distance:.1f} mm apart.").format(distance=thickest))
    if sentences:
        sentences.append(_("The result may be wrong."))
    return " ".join(sentences)


def whyNotHounsfield(array: np.ndarray) -> str:
    """A sentence on why values (z, y, x) are probably not Hounsfield units; empty where they may well be."""
    step = max(1, math.ceil((array.size / SAMPLE_VOXELS) ** (1 / 3)))
    # Thin axes are sampled in full: a step across 20 slices would leave too few of them.
    steps = [step if size >= 4 * step else 1 for size in array.shape]
    sample = array[:: steps[0], :: steps[1], :: steps[2]].astype(np.float32).ravel()
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return _("no voxel holds a number.")
    low, high = (float(value) for value in np.percentile(sample, (0.5, 99.5)))
    dark = float((sample < -50).mean())
    tissue = float(((sample > -150) & (sample < 250)).mean())
    if _seemsShifted(_withoutPadding(sample)):
        return _("the values seem to be shifted by 1024; subtract 1024 from every voxel.")
    if dark < 0.001:
        if low >= 0 and float(sample.max()) <= 255:
            return _("the values lie between 0 and 255, as in a picture.")
        return _("no voxel is as dark as fat or air, so this may be an MR or another kind of image.")
    if high - low < 100:
        return _("the values span only {low:.3g} to {high:.3g}.").format(low=low, high=high)
    if high > 6000:
        return _("the values reach {high:.0f}.").format(high=high)
    if tissue < 0.01:
        return _("hardly any value lies in the range of soft tissue, -150 to 250.")
    return ""


def _seemsShifted(values: np.ndarray) -> bool:
    """Whether soft tissue lies about 1024, air about 0 and nothing below."""
    if values.size == 0 or float((values < -50).mean()) >= 0.001:
        return False
    return float(((values > 874) & (values < 1274)).mean()) > 0.1 and float((values < 200).mean()) > 0.01


def _withoutPadding(values: np.ndarray) -> np.ndarray:
    """The values less the one that scanners put outside the round field of view: the lowest, apart from all others."""
    padding = values == values.min()
    rest = values[~padding]
    if rest.size == 0 or float(padding.mean()) < 0.001 or float(rest.min() - values.min()) < PADDING_GAP:
        return values
    return rest
