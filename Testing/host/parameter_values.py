"""How values are kept in a vtkMRMLScriptedModuleNode: under the names and with the texts of the application.

A value becomes texts, one or several, each under the parameter's name with an ending: none for what is one text,
``.field`` for the fields of a pack, ``.len`` and ``.0``, ``.1`` ... for a list, ``.number`` for the chosen type of a
union. A MRML node is a node reference, beside an empty text that tells "none" from "not there".
"""

from __future__ import annotations

import enum
import pathlib
import types
import typing

import slicer
import slicer.util


class WithinRange:
    """Annotation: the bounds of a number."""

    def __init__(self, minimum, maximum) -> None:
        self.minimum, self.maximum = minimum, maximum

    def accepts(self, value) -> bool:
        return self.minimum <= value <= self.maximum


class Choice:
    """Annotation: the only values that there are."""

    def __init__(self, choices) -> None:
        self.choices = choices

    def accepts(self, value) -> bool:
        return value in self.choices


class ObservedList(list):
    """A list whose changes go into the parameter node."""


def _observed(name: str):
    def change(self, *arguments, **named):
        result = getattr(list, name)(self, *arguments, **named)
        self.save(list(self))
        return result

    return change


for _name in ("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "__setitem__", "__delitem__"):
    setattr(ObservedList, _name, _observed(_name))


def split(annotated) -> tuple:
    """A type, its annotations, and of a list or union the types within."""
    kind, *annotations, _ = typing.get_args(typing.Annotated[annotated, None])
    return kind, annotations, typing.get_args(kind)


def form(kind) -> str:
    """Which of the forms above a type takes; raises for a type that the application cannot keep either."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return "union"
    if typing.get_origin(kind) is list:
        return "list"
    if hasattr(kind, "packed"):
        return "pack"
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return "node"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "enumeration"
    if kind in (int, float, str, bool, type(None)) or (isinstance(kind, type) and issubclass(kind, pathlib.PurePath)):
        return "text"
    raise TypeError(f"Unable to create serializer for type {kind}")


def initial(annotated):
    """The value where no default is given."""
    kind, _, parts = split(annotated)
    firsts = [initial(part) for part in parts]
    if form(kind) == "union":
        return None if type(None) in parts else firsts[0]
    if form(kind) == "enumeration":
        return next(iter(kind))
    return None if form(kind) == "node" else kind()


def texts(annotated, value) -> dict:
    """What is kept of a value, by the endings; a value that the type or its annotations refuse is an error."""
    kind, annotations, parts = split(annotated)
    if form(kind) == "union":
        return _ofUnion(parts, value)
    if form(kind) == "list":
        return {".len": str(len(value)), **_below(enumerate(texts(parts[0], item) for item in value))}
    if form(kind) == "node" and value is None:
        return {"": None}
    if not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    for annotation in annotations:
        if not annotation.accepts(value):
            raise ValueError(f"{value!r} is refused by {type(annotation).__name__}({vars(annotation)})")
    if form(kind) == "pack":
        return _below((name, texts(part.type, getattr(value, name))) for name, part in kind.packed.items())
    return {"": {"node": value, "enumeration": getattr(value, "name", "")}.get(form(kind), str(value))}


def _below(named) -> dict:
    return {f".{name}{ending}": text for name, found in named for ending, text in found.items()}


def _ofUnion(parts, value) -> dict:
    for number, part in enumerate(parts):
        try:
            return _below([(number, texts(part, value))])
        except (TypeError, ValueError):
            continue
    raise TypeError(f"Unable to write value {value!r}")


def kept(node, name: str) -> list[str]:
    """The names under which a node keeps the parts of a value."""
    return [key for key in node.GetParameterNames() if key == name or key.startswith(f"{name}.")]


def write(node, name: str, annotated, value) -> None:
    """Keep a value; those who observe the node hear it once."""
    found = {f"{name}{ending}": text for ending, text in texts(annotated, value).items()}
    with slicer.util.NodeModify(node):
        for key in set(kept(node, name)) - set(found):
            node.UnsetParameter(key)
        for key, text in found.items():
            node.SetParameter(key, text if isinstance(text, str) else "")
            if not isinstance(text, str):
                node.SetNodeReferenceID(key, text.GetID() if text is not None else None)


def read(node, name: str, annotated):
    """The value that a node keeps."""
    kind, _, parts = split(annotated)
    text, shape = node.GetParameter(name), form(kind)
    if shape == "union":
        return next((read(node, f"{name}.{number}", part) for number, part in enumerate(parts)
                     if kept(node, f"{name}.{number}")), None)
    if shape == "list":
        length = int(node.GetParameter(f"{name}.len"))
        found = ObservedList(read(node, f"{name}.{index}", parts[0]) for index in range(length))
        found.save = lambda values: write(node, name, annotated, values)
        return found
    if shape == "node":
        return node.GetNodeReference(name)
    if kind in (bool, type(None)):
        return text == "True" if kind is bool else None
    return kind.keptIn(node, f"{name}.") if shape == "pack" else kind[text] if shape == "enumeration" else kind(text)
