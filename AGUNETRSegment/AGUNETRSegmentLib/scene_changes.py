"""All or nothing: what was added to the scene is taken out again when an import fails."""

from __future__ import annotations

from contextlib import contextmanager


def _nodesById(scene) -> dict[str, object]:
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return {node.GetID(): node for node in nodes}


@contextmanager
def allOrNothing(scene):
    """Remove every node that appeared in *scene* inside the ``with`` block if the block raises.

    The scene is only changed from the application's main thread, so whatever appears inside the block, display and
    storage nodes included, was caused by it.
    """
    before = set(_nodesById(scene))
    try:
        yield
    except BaseException:
        for nodeId, node in reversed(list(_nodesById(scene).items())):
            # Removing one node may have removed another (a display node goes with its owner).
            if nodeId not in before and node.GetScene() is scene:
                scene.RemoveNode(node)
        raise
