"""Which results of runs are in a scene: read from the nodes themselves, so a scene that was saved shows the same again.

Every node that a run made carries attributes (:data:`RUN`, :data:`MODEL`, :data:`GATE` ...) and a reference to the CT.
Nothing else remembers what belongs together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

RUN = "AGUNETR.run"
MODEL = "AGUNETR.model"
GATE = "AGUNETR.gate"
CHECKSUM = "AGUNETR.checksum"
VERSION = "AGUNETR.version"
VOLUME = "AGUNETR.volume"  # the CT's name, for the day the CT is gone
REFERENCE = "AGUNETR.reference"  # on the table: the name of the segmentation that the models were scored against
INPUT_ROLE = "AGUNETR.inputVolume"

# Fixed width and UTC, so that text order is time order; no separator that a file name could not hold.
RUN_FORMAT = "%Y%m%dT%H%M%S.%fZ"


@dataclass
class ResultSet:
    """What one run left in the scene; whatever the user deleted is missing.

    :ivar run: the run's id.
    :ivar volumeNode: the CT, None where it was deleted.
    :ivar segmentations: by model name, in the order of the scene.
    :ivar attention: maps by (model name, gate name).
    :ivar table: the measurements, None where deleted.
    """

    run: str
    volumeNode: object = None
    segmentations: dict[str, object] = field(default_factory=dict)
    attention: dict[tuple[str, str], object] = field(default_factory=dict)
    table: object = None

    @property
    def volumeName(self) -> str:
        """The CT's name, as it was at the time of the run where the CT was deleted."""
        if self.volumeNode:
            return self.volumeNode.GetName()
        return next((name for name in (node.GetAttribute(VOLUME) for node in self.nodes()) if name), "")

    @property
    def referenceName(self) -> str:
        """What the models were scored against; empty where there was no reference."""
        return (self.table.GetAttribute(REFERENCE) or "") if self.table else ""

    def nodes(self) -> list:
        """All results of the run, without the CT."""
        return [*self.segmentations.values(), *self.attention.values(), *([self.table] if self.table else [])]

    def models(self) -> list[str]:
        """Names of the models of which something is still there."""
        return list(dict.fromkeys([*self.segmentations, *(model for model, _gate in self.attention)]))

    def gates(self, model: str) -> list[str]:
        """Names of the gates whose maps of *model* are there."""
        return [gate for name, gate in self.attention if name == model]


def resultSets(scene) -> list[ResultSet]:
    """The runs whose results are in *scene*, the newest first."""
    found: dict[str, ResultSet] = {}
    for node in scene.GetNodes():  # not GetNthNode, which walks from the first node each time
        run = node.GetAttribute(RUN)
        if run and _isResult(node):
            _add(found.setdefault(run, ResultSet(run)), node)
    return [found[run] for run in sorted(found, reverse=True)]


def runTime(run: str) -> datetime | None:
    """When a run's results came, in UTC; None where the id is no time."""
    try:
        return datetime.strptime(run, RUN_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def newRun(scene) -> str:
    """An id for a run whose results are about to be added: later than every run in the scene.

    Later even where the computer's clock was put back, since the newest result is found by its id.
    """
    now = datetime.now(UTC)
    times = [time for time in (runTime(resultSet.run) for resultSet in resultSets(scene)) if time]
    if times and max(times) >= now:
        now = max(times) + timedelta(microseconds=1)
    return now.strftime(RUN_FORMAT)


def _isResult(node) -> bool:
    return any(node.IsA(name) for name in ("vtkMRMLSegmentationNode", "vtkMRMLVolumeNode", "vtkMRMLTableNode"))


def _add(resultSet: ResultSet, node) -> None:
    """File a node; of several with the same meaning (clones) the first of the scene counts."""
    model, gate = node.GetAttribute(MODEL), node.GetAttribute(GATE)
    if node.IsA("vtkMRMLTableNode"):
        resultSet.table = resultSet.table or node
    elif model and gate and node.IsA("vtkMRMLVolumeNode"):
        resultSet.attention.setdefault((model, gate), node)
    elif model and node.IsA("vtkMRMLSegmentationNode"):
        resultSet.segmentations.setdefault(model, node)
    else:  # made of a run's results, not one of them
        return
    resultSet.volumeNode = resultSet.volumeNode or node.GetNodeReference(INPUT_ROLE)
