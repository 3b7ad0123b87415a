"""What nodes were like before something was shown, kept in the scene itself, so that it can be put back exactly.

The memory is a hidden node. It is saved with the scene and outlives a reload of the module: whoever finds it can put
back what it remembers, also after some of the nodes were deleted.
"""

from __future__ import annotations

import json

import slicer

PURPOSE = "AGUNETR.remembers"
_COUNT = "count"
# Properties that name a node: remembered as references, which the scene keeps right when ids change on import.
_NODE_PROPERTIES = {"BackgroundVolumeID", "ForegroundVolumeID", "ColorNodeID"}
_SETTERS = {"ColorNodeID": "SetAndObserveColorNodeID"}


class RememberedState:
    """Changes nodes and remembers what they were like before the first change.

    Properties are named as in MRML: ``Visibility`` is read by ``GetVisibility`` and written by ``SetVisibility``.

    :param scene: the MRML scene.
    :param purpose: a word; each purpose has a memory of its own.
    """

    def __init__(self, scene, purpose: str) -> None:
        self.scene = scene
        self.purpose = purpose

    @property
    def node(self):
        """The node that remembers, None when there is nothing to put back."""
        for index in range(self.scene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode")):
            node = self.scene.GetNthNodeByClass(index, "vtkMRMLScriptedModuleNode")
            if node.GetAttribute(PURPOSE) == self.purpose:
                return node
        return None

    @property
    def active(self) -> bool:
        """Whether something is remembered."""
        return self.node is not None

    def begin(self):
        """Make the node that remembers, where there is none yet.

        :returns: the node.
        """
        node = self.node
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetName(f"AGUNETR {self.purpose}")
            node.SetAttribute(PURPOSE, self.purpose)
            node.SetHideFromEditors(True)
            node = self.scene.AddNode(node)
        return node

    def set(self, node, name: str, value) -> None:
        """Change a property of *node*; what it was before the first change is remembered.

        :param value: a number, a text, None, or for ``ViewNodeIDs`` a list of ids.
        """
        memory = self.begin()
        key = self._keyOf(memory, node) or self._newKey(memory, node)
        if memory.GetAttribute(f"{key}.{name}") is None:
            current = _get(node, name)
            if name in _NODE_PROPERTIES:
                memory.SetNodeReferenceID(f"value.{key}.{name}", current)
            memory.SetAttribute(f"{key}.{name}", json.dumps(current))
        _set(node, name, value)

    def before(self, node, name: str, default=None):
        """What a property of *node* was before it was changed; *default* where it was not changed."""
        memory = self.node
        key = self._keyOf(memory, node) if memory else None
        text = memory.GetAttribute(f"{key}.{name}") if key else None
        return default if text is None else json.loads(text)

    def nodes(self) -> list:
        """The changed nodes that are still in the scene."""
        memory = self.node
        return [memory.GetNodeReference(role) for role in _roles(memory)] if memory else []

    def restoreNode(self, node) -> None:
        """Put back what was changed in *node*, and forget it."""
        self.forgetNode(node, putBack=True)

    def forgetNode(self, node, putBack: bool = False) -> None:
        """Forget *node*: it stays as it is, unless *putBack*."""
        memory = self.node
        key = self._keyOf(memory, node) if memory else None
        if not key:
            return
        wasModifying = node.StartModify()
        # The last change first, as in every undo.
        for attribute in reversed([name for name in memory.GetAttributeNames() if name.startswith(f"{key}.")]):
            name = attribute.partition(".")[2]
            if putBack:
                _set(node, name, self._remembered(memory, key, name))
            memory.RemoveAttribute(attribute)
            memory.RemoveNodeReferenceIDs(f"value.{key}.{name}")
        memory.RemoveNodeReferenceIDs(f"node.{key}")
        node.EndModify(wasModifying)

    def restore(self) -> None:
        """Put everything back and forget it; what was deleted meanwhile is left out."""
        memory = self.node
        while memory:  # two where a scene was added to another one
            for node in self.nodes():
                self.restoreNode(node)
            self.scene.RemoveNode(memory)
            memory = self.node

    def _remembered(self, memory, key: str, name: str):
        if name in _NODE_PROPERTIES:
            return memory.GetNodeReferenceID(f"value.{key}.{name}") or None
        return json.loads(memory.GetAttribute(f"{key}.{name}"))

    @staticmethod
    def _keyOf(memory, node) -> str | None:
        for role in _roles(memory):
            if memory.GetNodeReferenceID(role) == node.GetID():
                return role.partition(".")[2]
        return None

    @staticmethod
    def _newKey(memory, node) -> str:
        key = str(int(memory.GetAttribute(_COUNT) or 0) + 1)  # never reused: a deleted node leaves its attributes
        memory.SetAttribute(_COUNT, key)
        memory.SetNodeReferenceID(f"node.{key}", node.GetID())
        return key


def _roles(memory) -> list[str]:
    names = [memory.GetNthNodeReferenceRole(index) for index in range(memory.GetNumberOfNodeReferenceRoles())]
    return [name for name in names if name.startswith("node.") and memory.GetNodeReference(name)]


def _get(node, name: str):
    value = getattr(node, f"Get{name}")()
    return list(value) if isinstance(value, tuple) else value


def _set(node, name: str, value) -> None:
    getattr(node, _SETTERS.get(name, f"Set{name}"))(value)
