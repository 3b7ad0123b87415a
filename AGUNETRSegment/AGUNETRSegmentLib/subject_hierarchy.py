"""Places in the subject hierarchy (patient > study > series)."""

from __future__ import annotations

import slicer


def placeBeside(scene, node, neighbour) -> None:
    """Put *node* under the same parent as *neighbour*: into the same study, where the neighbour has one.

    The application makes an item for every node by itself; the bare Slicer core does not, so a missing one is made.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parentItem = hierarchy.GetItemParent(_itemOf(hierarchy, neighbour))
    hierarchy.SetItemParent(_itemOf(hierarchy, node), parentItem)


def _itemOf(hierarchy, node) -> int:
    item = hierarchy.GetItemByDataNode(node)
    if item == hierarchy.GetInvalidItemID():
        item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    return item
