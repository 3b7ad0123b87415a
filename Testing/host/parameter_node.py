"""``slicer.parameterNodeWrapper``: typed access to a parameter node and its connection to widgets."""

from __future__ import annotations

import typing

import slicer.util
import vtk

from .parameter_values import Choice, WithinRange, check, form, initial, read, split, write

# Which widget can show which type, by which property and signal; the pairs are the application's, like those below.
NUMBER, TICK = ("value", "valueChanged"), ("checked", "toggled")
PAIRS = {
    (bool, "QCheckBox"): TICK, (bool, "QPushButton"): TICK, (str, "QLineEdit"): ("text", "textChanged"),
    (int, "QSpinBox"): NUMBER, (int, "QSlider"): NUMBER, (int, "ctkSliderWidget"): NUMBER,
    (float, "QDoubleSpinBox"): NUMBER, (float, "ctkSliderWidget"): NUMBER,
}


class Parameter:
    """One field of a parameter node or pack, as property; a default that its type refuses is an error."""

    def __init__(self, owner: type, name: str, annotated) -> None:
        self.name, self.type, self.first = name, annotated, vars(owner).get(name, initial(annotated))
        if form(split(annotated)[0]) != "pack":
            check(annotated, self.first)

    def __get__(self, owner, _cls):
        return read(owner.node, owner.prefix + self.name, self.type)

    def __set__(self, owner, value) -> None:
        check(self.type, value)
        with slicer.util.NodeModify(owner.node):
            write(owner.node, owner.prefix + self.name, self.type, value)


class Parameters:
    """Access to what a node keeps, by attributes and by dotted names: what ``@parameterPack`` makes of a class."""

    packed: typing.ClassVar[dict[str, Parameter]] = {}
    node, prefix = None, ""

    def __init__(self, node, prefix: str = "") -> None:
        vars(self).update(node=node, prefix=prefix)

    def __setattr__(self, name: str, value) -> None:
        if name not in self.packed:
            raise AttributeError(f"{type(self).__name__} has no parameter {name}")
        super().__setattr__(name, value)

    def _owner(self, name: str) -> tuple:
        *outer, last = name.split(".")
        for part in outer:
            self = getattr(self, part)
        if last not in self.packed:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        return self, last

    def getValue(self, name: str):
        return getattr(*self._owner(name))

    def setValue(self, name: str, value) -> None:
        setattr(*self._owner(name), value)

    def dataType(self, name: str):
        owner, last = self._owner(name)
        return owner.packed[last].type


class ParameterNode(Parameters):
    """What ``@parameterNodeWrapper`` makes of a class."""

    def __init__(self, parameterNode) -> None:
        super().__init__(parameterNode)
        vars(self).update(parameterNode=parameterNode, guis={}, showing=False)
        for name in ("StartModify", "EndModify", "AddObserver", "RemoveObserver", "Modified"):
            vars(self)[name] = getattr(parameterNode, name)
        # A new node has none of the values, and neither has one of a scene that was closed. Of a pack all are there or
        # none: the application does not add a field that a saved scene lacks.
        there = {key.partition(".")[0] for key in parameterNode.GetParameterNames()}
        for name, parameter in self.packed.items():
            if name not in there:
                write(parameterNode, name, parameter.type, parameter.first)

    def connectGui(self, gui) -> int:
        """Connect the widgets of *gui* that say by ``SlicerParameterName`` which parameter they show.

        :returns: what :meth:`disconnectGui` wants.
        """
        named = [(widget.property("SlicerParameterName"), widget) for widget in vars(gui).values()]
        followed = [(name, *connectionOf(widget, self.dataType(name))) for name, widget in named if name]
        shows = [(name, show) for name, _signal, _shown, show in followed]
        self._toGui(shows)
        calls = [(signal, self._follower(name, shown)) for name, signal, shown, _show in followed]
        for signal, call in calls:
            signal.connect(call)
        tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._toGui(shows))
        self.guis[tag] = calls
        return tag

    def disconnectGui(self, tag: int) -> None:
        self.RemoveObserver(tag)
        for signal, call in self.guis.pop(tag):
            signal.disconnect(call)

    def _follower(self, name: str, shown):
        return lambda: self.showing or self.setValue(name, shown())

    def _toGui(self, shows: list) -> None:
        if self.showing:
            return
        vars(self)["showing"] = True
        try:
            with slicer.util.NodeModify(self):
                for name, show in shows:
                    show(self.getValue(name))
        finally:
            vars(self)["showing"] = False


def decorator(base: type):
    """A class decorator: the class, with its own methods, on the base that does the work."""

    def decorate(cls: type) -> type:
        hints = typing.get_type_hints(cls, include_extras=True)
        packed = {name: Parameter(cls, name, annotated) for name, annotated in hints.items()}
        if any(hasattr(base, name) for name in packed):
            raise ValueError(f"Cannot use a reserved name: {list(packed)}")
        own = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        return type(cls.__name__, (base,), {**own, **packed, "packed": packed})

    return decorate


parameterPack, parameterNodeWrapper = decorator(Parameters), decorator(ParameterNode)


def connectionOf(widget, datatype) -> tuple:
    """For a widget and an annotated type: the signal of the widget's change, and how to read and write its value.

    :raises RuntimeError: the application does not connect this pair.
    """
    kind, annotations = split(datatype)
    named = type(widget).__name__
    if form(kind) == "node" and named == "qMRMLNodeComboBox":
        widget.nodeTypes = [kind.__name__]
        return widget.currentNodeChanged, lambda: widget.currentNode(), lambda node: widget.setCurrentNode(node)
    choices = [entry.choices for entry in annotations if isinstance(entry, Choice)]
    if named == "QComboBox" and (choices or form(kind) == "enumeration"):
        return _chosen(widget, list(choices[0] if choices else kind))
    if (kind, named) not in PAIRS:
        raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{named}'")
    name, signal = PAIRS[kind, named]
    if name == "value":
        limits = next((entry for entry in annotations if isinstance(entry, WithinRange)), None)
        if limits is None and named in ("QSlider", "ctkSliderWidget"):
            raise RuntimeError(f"Cannot have a connection to {named} where the type is unbounded.")
        # The bounds are the annotation's, whatever the .ui file says.
        largest = 2**31 - 1 if kind is int else 1e300
        widget.minimum, widget.maximum = (limits.minimum, limits.maximum) if limits else (-largest, largest)

    def show(value) -> None:
        if getattr(widget, name) != value:  # a line edit that is written moves its cursor
            setattr(widget, name, kind(value))

    return getattr(widget, signal), lambda: kind(getattr(widget, name)), show


def _chosen(widget, values: list) -> tuple:
    """One of fixed values; the connection fills the combo box."""
    widget.clear()
    for value in values:
        widget.addItem(value.label() if hasattr(value, "label") else getattr(value, "name", str(value)))
    return (widget.currentIndexChanged, lambda: values[widget.currentIndex],
            lambda value: setattr(widget, "currentIndex", values.index(value)))
