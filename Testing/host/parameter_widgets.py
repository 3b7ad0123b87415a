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
    """Joins one widget with one value: by a property of the widget and the signal of its change."""

    def __init__(self, widget, signal: str, read, write) -> None:
        self.widget, self._signal, self.read, self.write, self._callback = widget, signal, read, write, None

    def connect(self, callback) -> None:
        # A function of its own without arguments: each signal then brings none.
        self._callback = lambda: callback()
        if self._signal:
            getattr(self.widget, self._signal).connect(self._callback)

    def disconnect(self) -> None:
        if self._signal:
            getattr(self.widget, self._signal).disconnect(self._callback)


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
    named = widget.className()
    if kind is bool and named in ("QCheckBox", "ctkCheckBox"):
        return byProperty(widget, "checked", "stateChanged")
    if kind is bool and named in ("QPushButton", "ctkCheckablePushButton"):
        widget.checkable = True
        return byProperty(widget, "checked", "toggled")
    if kind is int and named in ("QSlider", "QSpinBox"):
        return bounded(widget, annotations, int, named == "QSlider")
    if kind in (int, float) and named in ("QDoubleSpinBox", "ctkSliderWidget", "qMRMLSliderWidget", "ctkDoubleSlider",
                                          "ctkDoubleSpinBox", "qMRMLSpinBox"):
        return bounded(widget, annotations, kind, named in ("ctkSliderWidget", "qMRMLSliderWidget"))
    if named in ("QComboBox", "ctkComboBox"):
        return chosen(widget, kind, annotations)
    if kind is str and named in ("QLineEdit", "QLabel"):
        return byProperty(widget, "text", "textChanged" if named == "QLineEdit" else "")
    if kind is str and named == "QTextEdit":
        return Connector(widget, "textChanged", lambda: widget.toPlainText(), lambda value: widget.setPlainText(value))
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath) and named == "ctkPathLineEdit":
        return byProperty(widget, "currentPath", "currentPathChanged", str, kind)
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath) and named == "ctkDirectoryButton":
        return byProperty(widget, "directory", "directoryChanged", str, kind)
    if named == "qMRMLNodeComboBox" and nodeClasses(kind):
        widget.nodeTypes = [cls.__name__ for cls in nodeClasses(kind)]
        return Connector(widget, "currentNodeChanged", lambda: widget.currentNode(),
                         lambda node: widget.setCurrentNode(node))
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{named}'")


def nodeClasses(kind) -> list[type]:
    """The node classes of a type that is a node class or a union of node classes and None."""
    parts = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    classes = [part for part in parts if isinstance(part, type) and issubclass(part, slicer.vtkMRMLNode)]
    return classes if len(classes) == len([part for part in parts if part is not type(None)]) else []


def bounded(widget, annotations: list, kind: type, needsBounds: bool) -> Connector:
    """A number; the bounds, the decimals and the step are the annotation's, whatever the .ui file says."""
    found = {type(entry): entry for entry in annotations}
    if kind is float and Decimals in found:
        widget.decimals = found[Decimals].value
    elif kind is int and widget.className() not in ("QSlider", "QSpinBox", "ctkDoubleSlider"):
        widget.decimals = 0
    if SingleStep in found:
        widget.singleStep = found[SingleStep].value
    low = found[WithinRange].minimum if WithinRange in found else found[Minimum].minimum if Minimum in found else None
    high = found[WithinRange].maximum if WithinRange in found else found[Maximum].maximum if Maximum in found else None
    if needsBounds and (low is None or high is None):
        raise RuntimeError(f"Cannot have a connection to {widget.className()} where the type is unbounded.")
    widget.minimum = low if low is not None else -(2**31) if kind is int else -1e300
    widget.maximum = high if high is not None else 2**31 - 1 if kind is int else 1e300
    return byProperty(widget, "value", "valueChanged", kind, kind)


def chosen(widget, kind, annotations: list) -> Connector:
    """One of fixed values; the connector fills the combo box."""
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        label = getattr(kind, "label", lambda member: member.name)
        entries = [(label(member), member) for member in kind]
    else:
        choices = [entry.choices for entry in annotations if isinstance(entry, Choice)]
        if kind not in (int, float, str, bool) or not choices:
            raise RuntimeError("A combo box needs an enumeration, or a type with the annotation Choice.")
        entries = [(str(choice), choice) for choice in choices[0]]
    values = [value for _text, value in entries]
    widget.clear()
    for text, _value in entries:
        widget.addItem(text)

    def write(value) -> None:
        if value not in values:
            raise ValueError(f"Unable to find value {value} in choices {values}")
        widget.currentIndex = values.index(value)

    return Connector(widget, "currentIndexChanged", lambda: values[widget.currentIndex], write)
