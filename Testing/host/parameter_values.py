"""How values are kept in a vtkMRMLScriptedModuleNode: under the names and with the texts of the application.

A number, text or enumeration is one text under the parameter's name. The fields of a pack lie under ``name.field``, the
items of a list under ``name.0``, ``name.1`` ... beside ``name.len``. A MRML node is a node reference, beside an empty
text that tells "none" from "not there". Types that no module here uses are refused.
"""

from __future__ import annotations

import enum
import typing
from dataclasses import dataclass

import slicer


@dataclass
class WithinRange:
    """Annotation: the bounds of a number."""

    minimum: float
    maximum: float

    def __contains__(self, value) -> bool:
        return self.minimum <= value <= self.maximum


@dataclass
class Choice:
    """Annotation: the only values that there are."""

    choices: list

    def __contains__(self, value) -> bool:
        return value in self.choices


class ReadList(list):
    """A list that can only be read: the application writes changes of it into the node, which no module here asks."""

    append = extend = insert = remove = pop = clear = sort = reverse = __setitem__ = __delitem__ = __iadd__ = None


def split(annotated) -> tuple:
    """A type and its annotations."""
    kind, *annotations, _ = typing.get_args(typing.Annotated[annotated, None])
    return kind, annotations


def form(kind) -> str:
    """In which of the forms above a type is kept."""
    if typing.get_origin(kind) is list:
        return "list"
    if hasattr(kind, "packed"):
        return "pack"
    if kind in (int, float, str, bool):
        return "text"
    for base, name in ((slicer.vtkMRMLNode, "node"), (enum.Enum, "enumeration")):
        if isinstance(kind, type) and issubclass(kind, base):
            return name
    raise TypeError(f"Unable to create serializer for type {kind}")


def initial(annotated):
    """The value where no default is given; None stands for that of every field of a pack."""
    kind, _ = split(annotated)
    if form(kind) == "enumeration":
        return next(iter(kind))
    return None if form(kind) in ("node", "pack") else kind()


def check(annotated, value) -> None:
    """Raise for a value that the type or its annotations refuse."""
    kind, annotations = split(annotated)
    if form(kind) == "list":
        for item in value:
            check(typing.get_args(kind)[0], item)
    elif form(kind) != "node" or value is not None:
        if not isinstance(value, (int, float) if kind is float else kind):
            raise TypeError(f"{value!r} is no {kind.__name__}")
        for annotation in annotations:
            if value not in annotation:
                raise ValueError(f"{value!r} is refused by {annotation}")


def write(node, name: str, annotated, value) -> None:
    """Keep a value that was checked."""
    kind, _ = split(annotated)
    shape = form(kind)
    if shape == "pack":
        for field, parameter in kind.packed.items():
            write(node, f"{name}.{field}", parameter.type, getattr(value, field) if value else parameter.first)
    elif shape == "list":
        for index in range(len(value), int(node.GetParameter(f"{name}.len") or 0)):
            node.UnsetParameter(f"{name}.{index}")
        node.SetParameter(f"{name}.len", str(len(value)))
        for index, item in enumerate(value):
            write(node, f"{name}.{index}", typing.get_args(kind)[0], item)
    elif shape == "node":
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
    else:
        node.SetParameter(name, value.name if shape == "enumeration" else str(value))


def read(node, name: str, annotated):
    """The value that a node keeps."""
    kind, _ = split(annotated)
    text, shape = node.GetParameter(name), form(kind)
    if shape == "pack":
        return kind(node, f"{name}.")
    if shape == "list":
        length = int(node.GetParameter(f"{name}.len"))
        return ReadList(read(node, f"{name}.{index}", typing.get_args(kind)[0]) for index in range(length))
    if shape == "node":
        return node.GetNodeReference(name)
    return kind[text] if shape == "enumeration" else text == "True" if kind is bool else kind(text)
