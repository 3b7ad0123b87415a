"""What one import adds to the scene, so that it can be taken out again when the import fails."""

from __future__ import annotations

from contextlib import contextmanager


def _nodesById(scene) -> dict[str, object]:
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return {node.GetID(): node for node in nodes}


class Additions:
    """What one import adds to a scene, perhaps in several turns of the event loop.

    The scene is only changed from the application's main thread, so whatever appears inside :meth:`noted`, display and
    storage nodes included, was caused by it.
    """

    def __init__(self, scene) -> None:
        self._scene = scene
        self._nodes: list = []

    @contextmanager
    def noted(self):
        """Note every node that appears inside the ``with`` block, also where the block raises."""
        before = set(_nodesById(self._scene))
        try:
            yield
        finally:
            self._nodes += [node for nodeId, node in _nodesById(self._scene).items() if nodeId not in before]

    def remove(self) -> None:
        """Take out what was noted and is still there."""
        for node in reversed(self._nodes):
            # Removing one node may have removed another (a display node goes with its owner).
            if node.GetScene() is self._scene:
                self._scene.RemoveNode(node)
        self._nodes = []
