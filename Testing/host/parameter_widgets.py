"""Which widget can show which type of parameter; the pairs are the application's, and there are no others."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
import types
import typing

import slicer

from .parameter_kinds import Choice, Maximum, Minimum, WithinRange, split


@dataclasses.dataclass
class Decimals:
    """Annotation: the decimals that a widget shows."""

    value: int


@dataclasses.dataclass
class SingleStep:
    """Annotation: a widget's step."""

    value: float


class Connector:
    """Joins one widget with one value: how to read and write it, and the signal of its change."""

    def __init__(self, widget, signal: str, read, write) -> None:
        self._widget, self._signal, self.read, self.write, self._callback = widget, signal, read, write, None

    def connect(self, callback) -> None:
        self._callback = lambda: callback()  # takes no argument: each signal then brings none
        getattr(self._widget, self._signal).connect(self._callback)

    def disconnect(self) -> None:
        getattr(self._widget, self._signal).disconnect(self._callback)


def byProperty(widget, name: str, signal: str, toWidget=lambda value: value, fromWidget=lambda value: value):
    def write(value) -> None:
        # The line edit is written only when it differs: the cursor would move otherwise.
        if name != "text" or getattr(widget, name) != value:
            setattr(widget, name, toWidget(value))

    return Connector(widget, signal, lambda: fromWidget(getattr(widget, name)), write)


def connectorFor(widget, datatype) -> Connector:
    """The connector for a widget and an annotated type.

    :raises RuntimeError: the application has none for this pair.
    """
    kind, annotations = split(datatype)
    named, isPath = widget.className(), isinstance(kind, type) and issubclass(kind, pathlib.PurePath)
    if kind is bool and named in ("QCheckBox", "QPushButton"):
        widget.checkable = True
        return byProperty(widget, "checked", "toggled")
    if (kind is int and named in ("QSlider", "QSpinBox")) or (
            kind in (int, float) and named in ("QDoubleSpinBox", "ctkSliderWidget", "ctkDoubleSpinBox")):
        return bounded(widget, annotations, kind, named in ("QSlider", "ctkSliderWidget"))
    if named == "QComboBox":
        return chosen(widget, kind, annotations)
    if kind is str and named == "QLineEdit":
        return byProperty(widget, "text", "textChanged")
    if isPath and named == "ctkPathLineEdit":
        return byProperty(widget, "currentPath", "currentPathChanged", str, kind)
    parts = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    parts = [part for part in parts if part is not type(None)]
    if named == "qMRMLNodeComboBox" and all(isinstance(x, type) and issubclass(x, slicer.vtkMRMLNode) for x in parts):
        widget.nodeTypes = [part.__name__ for part in parts]
        return Connector(widget, "currentNodeChanged", lambda: widget.currentNode(),
                         lambda node: widget.setCurrentNode(node))
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{named}'")


def bounded(widget, annotations: list, kind: type, needsBounds: bool) -> Connector:
    """A number; the bounds, the decimals and the step are the annotation's, whatever the .ui file says."""
    found = {type(entry): entry for entry in annotations}
    if widget.className() not in ("QSlider", "QSpinBox") and (kind is int or Decimals in found):
        widget.decimals = 0 if kind is int else found[Decimals].value
    if SingleStep in found:
        widget.singleStep = found[SingleStep].value
    limits = found.get(WithinRange)
    low, high = limits or found.get(Minimum), limits or found.get(Maximum)
    if needsBounds and not (low and high):
        raise RuntimeError(f"Cannot have a connection to {widget.className()} where the type is unbounded.")
    widget.minimum = low.minimum if low else -(2**31) if kind is int else -1e300
    widget.maximum = high.maximum if high else 2**31 - 1 if kind is int else 1e300
    return byProperty(widget, "value", "valueChanged", kind, kind)


def chosen(widget, kind, annotations: list) -> Connector:
    """One of fixed values; the connector fills the combo box."""
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        values, label = list(kind), getattr(kind, "label", lambda member: member.name)
    else:
        choices = [entry.choices for entry in annotations if isinstance(entry, Choice)]
        if kind not in (int, float, str, bool) or not choices:
            raise RuntimeError("A combo box needs an enumeration, or a type with the annotation Choice.")
        values, label = list(choices[0]), str
    widget.clear()
    for value in values:
        widget.addItem(label(value))
    return Connector(widget, "currentIndexChanged", lambda: values[widget.currentIndex],
                     lambda value: setattr(widget, "currentIndex", values.index(value)))
