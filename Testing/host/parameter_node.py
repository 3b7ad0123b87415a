"""``slicer.parameterNodeWrapper``: typed access to a parameter node and its connection to widgets."""

from __future__ import annotations

import typing
import weakref

import slicer
import vtk

from . import parameter_widgets
from .parameter_kinds import Choice, Default, Kind, Maximum, Minimum, Validator, WithinRange, kindOf, split
from .parameter_widgets import Decimals, SingleStep

# What ``from slicer.parameterNodeWrapper import ...`` finds here; less than the application offers.
OFFERED = (Choice, Decimals, Default, Maximum, Minimum, SingleStep, Validator, WithinRange)
WIDGET_PROPERTY = "SlicerParameterName"


class Parameter:
    """One field of a parameter node or pack."""

    def __init__(self, owner: type, name: str, annotated) -> None:
        self.name, self.type, self.kind = name, annotated, kindOf(annotated)
        marked = [entry for entry in split(annotated)[1] if isinstance(entry, Default)]
        given = [Default(vars(owner)[name])] if name in vars(owner) else marked
        self.initial = given[0] if given else Default(generator=self.kind.default)
        self.kind.validate(self.initial.value)


def parametersOf(cls: type) -> dict[str, Parameter]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: Parameter(cls, name, annotated) for name, annotated in hints.items()}


def checked(owner, name: str) -> str:
    if name not in owner.allParameters:
        raise ValueError(f"Cannot find a param with the given name: {name}")
    return name


def dataType(cls, name: str):
    """The annotated type of a parameter, by its possibly dotted name."""
    first, _, rest = name.partition(".")
    found = cls.allParameters[checked(cls, first)].type
    return split(found)[0].dataType(rest) if rest else found


def getValue(self, name: str):
    first, _, rest = name.partition(".")
    value = getattr(self, checked(self, first))
    return value.getValue(rest) if rest else value


def setValue(self, name: str, value) -> None:
    first, _, rest = name.partition(".")
    getattr(self, first).setValue(rest, value) if rest else setattr(self, checked(self, first), value)


class PackKind(Kind):
    """How a pack is kept: each field under ``name.field``."""

    def fields(self) -> list[Parameter]:
        return list(self.kind.allParameters.values())

    # The first field stands for all, as in the application: a pack saved with fewer fields cannot be read again.
    def isIn(self, node, name: str) -> bool:
        return self.fields()[0].kind.isIn(node, f"{name}.{self.fields()[0].name}")

    def store(self, node, name: str, value) -> None:
        for field in self.fields():
            field.kind.write(node, f"{name}.{field.name}", getattr(value, field.name))

    def read(self, node, name: str):
        found = self.kind(**{field.name: field.kind.read(node, f"{name}.{field.name}") for field in self.fields()})
        vars(found)["_saved"] = (node, name)
        return found

    def remove(self, node, name: str) -> None:
        for field in self.fields():
            field.kind.remove(node, f"{name}.{field.name}")


def parameterPack(cls):
    """Class decorator: several parameters as one, with access by dotted names."""
    parameters = parametersOf(cls)

    def initialise(self, *arguments, **named) -> None:
        named = {**dict(zip(parameters, arguments, strict=False)), **named}
        for name in named:
            checked(cls, name)
        for name, parameter in parameters.items():
            setattr(self, name, named[name] if name in named else parameter.initial.value)

    def write(self, name: str, value) -> None:
        if name not in parameters:
            raise AttributeError(f"{cls.__name__} has no parameter {name}")
        parameters[name].kind.validate(value)
        vars(self)[name] = value
        if "_saved" in vars(self):
            node, place = vars(self)["_saved"]
            parameters[name].kind.write(node, f"{place}.{name}", value)

    for name in parameters:
        if name in vars(cls):
            delattr(cls, name)
    cls.allParameters, cls._is_parameterPack, cls.packKind = parameters, True, PackKind(cls)
    cls.__init__, cls.__setattr__, cls.setValue, cls.getValue = initialise, write, setValue, getValue
    cls.dataType, cls.__hash__ = classmethod(dataType), None
    cls.__eq__ = lambda self, other: isinstance(other, cls) and all(
        getattr(self, name) == getattr(other, name) for name in parameters)
    return cls


class ParameterNode:
    """What ``@parameterNodeWrapper`` makes of a class: values are read from the node when it tells of a change."""

    allParameters: typing.ClassVar[dict[str, Parameter]] = {}
    dataType, getValue, setValue = classmethod(dataType), getValue, setValue

    def __init__(self, parameterNode, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._prefix, self._values, self._guis, self._writing, self._showing = prefix or "", {}, {}, None, False
        self._readAll()
        reference = weakref.ref(self)
        self._tag = parameterNode.AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda *_: reference() is not None and reference()._readAll())

    def __del__(self) -> None:
        if "_tag" in vars(self):
            self.parameterNode.RemoveObserver(self._tag)

    def _readAll(self) -> None:
        for name, parameter in self.allParameters.items():
            # A new node has none of the values, and neither has one of a scene that was closed.
            if not parameter.kind.isIn(self.parameterNode, self._prefix + name):
                parameter.kind.write(self.parameterNode, self._prefix + name, parameter.initial.value)
            if name != self._writing:
                self._values[name] = parameter.kind.read(self.parameterNode, self._prefix + name)

    def _write(self, name: str, value) -> None:
        self._writing = name
        try:
            with slicer.util.NodeModify(self.parameterNode):
                self.allParameters[name].kind.write(self.parameterNode, self._prefix + name, value)
                self._values[name] = self.allParameters[name].kind.read(self.parameterNode, self._prefix + name)
        finally:
            self._writing = None

    def connectGui(self, gui) -> int:
        """Connect the widgets that say by ``SlicerParameterName`` which parameter they show; the tag ends it."""
        widgets = gui.findChildren("QWidget") if hasattr(gui, "isWidgetType") else list(vars(gui).values())
        named = {widget.property(WIDGET_PROPERTY): widget for widget in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping: dict) -> int:
        connectors = {name: parameter_widgets.connectorFor(widget, self.dataType(name))
                      for name, widget in mapping.items()}
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.connect(lambda name=name, connector=connector: self._fromGui(name, connector))
        tag = max(self._guis, default=-1) + 1
        self._guis[tag] = (connectors, self.AddObserver(vtk.vtkCommand.ModifiedEvent, self._toGui))
        return tag

    def disconnectGui(self, tag: int) -> None:
        connectors, observer = self._guis.pop(tag, ({}, None))
        for connector in connectors.values():
            connector.disconnect()
        if observer is not None:
            self.RemoveObserver(observer)

    def _fromGui(self, name: str, connector) -> None:
        with slicer.util.NodeModify(self):
            if not self._showing:
                self.setValue(name, connector.read())

    def _toGui(self, _caller=None, _event=None) -> None:
        if self._showing:
            return
        self._showing = True
        try:
            with slicer.util.NodeModify(self):
                for connectors, _observer in list(self._guis.values()):
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._showing = False


for _name in ("StartModify", "EndModify", "AddObserver", "RemoveObserver", "Modified"):
    setattr(ParameterNode, _name, lambda self, *given, _name=_name: getattr(self.parameterNode, _name)(*given))


def parameterNodeWrapper(cls):
    """Class decorator: typed parameters, kept in a vtkMRMLScriptedModuleNode."""
    parameters = parametersOf(cls)
    if any(hasattr(ParameterNode, name) for name in parameters):
        raise ValueError(f"Cannot use a reserved name in a parameterNodeWrapper: {list(parameters)}")
    fields = {name: property(lambda self, name=name: self._values[name],
                             lambda self, value, name=name: self._write(name, value)) for name in parameters}
    own = {name: value for name, value in vars(cls).items() if name not in (*parameters, "__dict__", "__weakref__")}
    return type(cls.__name__, (ParameterNode,), {**own, **fields, "allParameters": parameters})


def isParameterNodeWrapper(value) -> bool:
    return issubclass(value if isinstance(value, type) else type(value), ParameterNode)


def isParameterPack(value) -> bool:
    return getattr(value, "_is_parameterPack", False)
