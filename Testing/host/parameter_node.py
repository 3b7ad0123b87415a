"""``slicer.parameterNodeWrapper``: typed access to a parameter node and its connection to widgets."""

from __future__ import annotations

import copy
import typing

import slicer.util
import vtk

from .parameter_values import Choice, WithinRange, form, initial, kept, read, split, texts, write

WIDGET_PROPERTY = "SlicerParameterName"
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
        self.name, self.type, self.first = name, annotated, initial(annotated)
        self.first = vars(owner).get(name, self.first)
        texts(annotated, self.first)

    def __get__(self, owner, _cls):
        return read(owner.node, owner.prefix + self.name, self.type) if owner.node else vars(owner)[self.name]

    def __set__(self, owner, value) -> None:
        texts(self.type, value)
        if owner.node:
            write(owner.node, owner.prefix + self.name, self.type, value)
        else:
            vars(owner)[self.name] = value


class Parameters:
    """Access to parameters by attributes and by dotted names; those of a node are kept there alone."""

    packed: typing.ClassVar[dict[str, Parameter]] = {}
    node, prefix = None, ""

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

    @classmethod
    def dataType(cls, name: str):
        """The annotated type of a parameter."""
        first, _, rest = name.partition(".")
        if first not in cls.packed:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        return split(cls.packed[first].type)[0].dataType(rest) if rest else cls.packed[first].type


class Pack(Parameters):
    """What ``@parameterPack`` makes of a class."""

    def __init__(self, **named) -> None:
        if set(named) - set(self.packed):
            raise ValueError(f"{type(self).__name__} has no parameters {set(named) - set(self.packed)}")
        for name, parameter in self.packed.items():
            setattr(self, name, named.get(name, copy.copy(parameter.first)))

    @classmethod
    def keptIn(cls, node, prefix: str):
        """The pack that a node keeps: what is read and written lies there."""
        found = object.__new__(cls)
        vars(found).update(node=node, prefix=prefix)
        return found

    def __setattr__(self, name: str, value) -> None:
        if name not in self.packed:
            raise AttributeError(f"{type(self).__name__} has no parameter {name}")
        super().__setattr__(name, value)

    def __eq__(self, other) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self.packed)

    __hash__ = None


class ParameterNode(Parameters):
    """What ``@parameterNodeWrapper`` makes of a class."""

    def __init__(self, parameterNode, prefix: str = "") -> None:
        self.node = self.parameterNode = parameterNode
        self.prefix, self._guis, self._showing = prefix, {}, False
        for name, parameter in self.packed.items():
            # A new node has none of the values, and neither has one of a scene that was closed.
            if not kept(parameterNode, prefix + name):
                setattr(self, name, parameter.first)

    def connectGui(self, gui) -> int:
        """Connect the widgets that say by ``SlicerParameterName`` which parameter they show; the tag ends it."""
        widgets = gui.findChildren("QWidget") if hasattr(gui, "isWidgetType") else list(vars(gui).values())
        named = {widget.property(WIDGET_PROPERTY): widget for widget in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping: dict) -> int:
        followed = [(name, *connectionOf(widget, self.dataType(name))) for name, widget in mapping.items()]
        calls = [(signal, self._follower(name, shown)) for name, signal, shown, _show in followed]
        shows = [(name, show) for name, _signal, _shown, show in followed]
        for name, show in shows:
            show(self.getValue(name))
        for signal, call in calls:
            signal.connect(call)
        tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._toGui(shows))
        self._guis[tag] = calls
        return tag

    def disconnectGui(self, tag: int) -> None:
        if tag in self._guis:
            self.RemoveObserver(tag)
        for signal, call in self._guis.pop(tag, ()):
            signal.disconnect(call)

    def _follower(self, name: str, shown):
        def fromGui() -> None:
            if not self._showing:
                with slicer.util.NodeModify(self):
                    self.setValue(name, shown())

        return fromGui

    def _toGui(self, shows: list) -> None:
        if self._showing:
            return
        self._showing = True
        try:
            with slicer.util.NodeModify(self):
                for name, show in shows:
                    show(self.getValue(name))
        finally:
            self._showing = False


for _name in ("StartModify", "EndModify", "AddObserver", "RemoveObserver", "Modified"):
    setattr(ParameterNode, _name, lambda self, *given, _name=_name: getattr(self.parameterNode, _name)(*given))


def _on(base: type, cls: type) -> type:
    """The decorated class, with its own methods, on the base that does the work."""
    hints = typing.get_type_hints(cls, include_extras=True)
    packed = {name: Parameter(cls, name, annotated) for name, annotated in hints.items()}
    if any(hasattr(base, name) for name in packed):
        raise ValueError(f"Cannot use a reserved name: {list(packed)}")
    own = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    return type(cls.__name__, (base,), {**own, **packed, "packed": packed})


def parameterPack(cls: type) -> type:
    """Class decorator: several parameters as one, with access by dotted names."""
    return _on(Pack, cls)


def parameterNodeWrapper(cls: type) -> type:
    """Class decorator: typed parameters, kept in a vtkMRMLScriptedModuleNode."""
    return _on(ParameterNode, cls)


def connectionOf(widget, datatype) -> tuple:
    """For a widget and an annotated type: the signal of the widget's change, and how to read and write its value.

    :raises RuntimeError: the application does not connect this pair.
    """
    kind, annotations, _ = split(datatype)
    named = widget.className()
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
