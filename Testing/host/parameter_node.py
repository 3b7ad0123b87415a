"""``slicer.parameterNodeWrapper``: typed access to a parameter node and its connection to widgets."""

from __future__ import annotations

import typing
import weakref

import slicer
import vtk

from . import parameter_widgets
from .parameter_kinds import (  # noqa: F401  names of slicer.parameterNodeWrapper
    Choice,
    Default,
    Maximum,
    Minimum,
    Validator,
    WithinRange,
    kindOf,
    split,
)
from .parameter_widgets import Decimals, SingleStep  # noqa: F401

SlicerParameterNamePropertyName = "SlicerParameterName"


class Parameter:
    """One field of a parameter node or pack."""

    def __init__(self, owner: type, name: str, annotated) -> None:
        self.name, self.type, self.kind = name, annotated, kindOf(annotated)
        marked = [entry for entry in split(annotated)[1] if isinstance(entry, Default)]
        if name in vars(owner):
            self._default = Default(vars(owner)[name])
        else:
            self._default = marked[0] if marked else Default(generator=self.kind.default)
        self.kind.validate(self.default())

    def default(self):
        return self._default.value


def parametersOf(cls: type) -> dict[str, Parameter]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: Parameter(cls, name, annotated) for name, annotated in hints.items()}


class Pack:
    """How a pack is kept: each field under ``name.field``."""

    def __init__(self, cls: type) -> None:
        self.cls, self.default = cls, cls

    def validate(self, value) -> None:
        if not isinstance(value, self.cls):
            raise ValueError(f"{value!r} is no {self.cls.__name__}")

    # The first field stands for all, as in the application: a pack saved with fewer fields cannot be read again.
    def isIn(self, node, name: str) -> bool:
        first = next(iter(self.cls.allParameters.values()))
        return first.kind.isIn(node, f"{name}.{first.name}")

    def write(self, node, name: str, value) -> None:
        self.validate(value)
        with slicer.util.NodeModify(node):
            for parameter in self.cls.allParameters.values():
                parameter.kind.write(node, f"{name}.{parameter.name}", getattr(value, parameter.name))

    def read(self, node, name: str):
        values = {parameter.name: parameter.kind.read(node, f"{name}.{parameter.name}")
                  for parameter in self.cls.allParameters.values()}
        found = self.cls(**values)
        found.__dict__["_saved"] = (node, name)
        return found

    def remove(self, node, name: str) -> None:
        for parameter in self.cls.allParameters.values():
            parameter.kind.remove(node, f"{name}.{parameter.name}")


def parameterPack(cls=None):
    """Class decorator: several parameters as one, with access by dotted names."""
    if cls is None:
        return parameterPack
    parameters = parametersOf(cls)
    if not parameters:
        raise ValueError("Unable to find any members in parameterPack")

    def initialise(self, *arguments, **named) -> None:
        named = {**dict(zip(parameters, arguments, strict=False)), **named}
        unknown = set(named) - set(parameters)
        if unknown:
            raise TypeError(f"__init__() got an unexpected keyword argument {unknown}")
        for name, parameter in parameters.items():
            setattr(self, name, named[name] if name in named else parameter.default())

    def write(self, name: str, value) -> None:
        if name not in parameters and not name.startswith("_"):
            raise AttributeError(f"{cls.__name__} has no parameter {name}")
        if name in parameters:
            parameters[name].kind.validate(value)
        self.__dict__[name] = value
        if "_saved" in self.__dict__:
            node, place = self.__dict__["_saved"]
            parameters[name].kind.write(node, f"{place}.{name}", value)

    def setValue(self, name: str, value) -> None:
        first, _, rest = name.partition(".")
        getattr(self, first).setValue(rest, value) if rest else setattr(self, checked(self, first), value)

    def getValue(self, name: str):
        first, _, rest = name.partition(".")
        return getattr(self, checked(self, first)).getValue(rest) if rest else getattr(self, checked(self, first))

    for name in parameters:
        if name in vars(cls):
            delattr(cls, name)
    cls.__init__, cls.__setattr__, cls.setValue, cls.getValue = initialise, write, setValue, getValue
    cls.__eq__ = lambda self, other: isinstance(other, cls) and all(
        getattr(self, name) == getattr(other, name) for name in parameters)
    cls.__hash__ = None
    cls.__repr__ = lambda self: f"{cls.__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in parameters)})"
    cls.allParameters, cls.dataType, cls._is_parameterPack = parameters, classmethod(dataType), True
    cls.packKind = Pack(cls)
    return cls


def checked(owner, name: str) -> str:
    if name not in owner.allParameters:
        raise ValueError(f"Cannot find a param with the given name: {name}")
    return name


def dataType(cls, name: str):
    """The annotated type of a parameter, by its possibly dotted name."""
    first, _, rest = name.partition(".")
    found = cls.allParameters[checked(cls, first)].type
    return split(found)[0].dataType(rest) if rest else found


def isParameterPack(value) -> bool:
    return getattr(value, "_is_parameterPack", False)


def isParameterNodeWrapper(value) -> bool:
    return issubclass(value if isinstance(value, type) else type(value), ParameterNode)


class ParameterNode:
    """What ``@parameterNodeWrapper`` makes of a class: values are read from the node when it tells of a change."""

    allParameters: typing.ClassVar[dict[str, Parameter]] = {}

    def __init__(self, parameterNode, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._prefix, self._values, self._guis, self._writing, self._showing = prefix or "", {}, {}, None, False
        self._readAll()
        reference = weakref.ref(self)
        self._tag = parameterNode.AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda *_: reference() is not None and reference()._readAll())

    def __del__(self) -> None:
        if "_tag" in self.__dict__:
            self.parameterNode.RemoveObserver(self._tag)

    def _readAll(self) -> None:
        for name, parameter in self.allParameters.items():
            # A new node has none of the values, and neither has one of a scene that was closed.
            if not parameter.kind.isIn(self.parameterNode, self._prefix + name):
                parameter.kind.write(self.parameterNode, self._prefix + name, parameter.default())
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

    def getValue(self, name: str):
        first, _, rest = name.partition(".")
        value = self._values[checked(self, first)]
        return value.getValue(rest) if rest else value

    def setValue(self, name: str, value) -> None:
        first, _, rest = name.partition(".")
        self._values[checked(self, first)].setValue(rest, value) if rest else self._write(first, value)

    def default(self, name: str):
        return self.allParameters[checked(self, name)]._default

    dataType = classmethod(dataType)

    def connectGui(self, gui) -> int:
        """Connect the widgets that say by ``SlicerParameterName`` which parameter they show; the tag ends it."""
        widgets = gui.findChildren("QWidget") if hasattr(gui, "isWidgetType") else list(vars(gui).values())
        named = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping: dict) -> int:
        for name in mapping:
            self.dataType(name)
        connectors = {name: parameter_widgets.connectorFor(widget, self.dataType(name))
                      for name, widget in mapping.items()}
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.connect(lambda name=name, connector=connector: self._fromGui(name, connector))
        tag = len(self._guis) and max(self._guis) + 1
        self._guis[tag] = (connectors, self.AddObserver(vtk.vtkCommand.ModifiedEvent, self._toGui))
        return tag

    def disconnectGui(self, tag: int) -> None:
        if tag in self._guis:
            connectors, observer = self._guis.pop(tag)
            for connector in connectors.values():
                connector.disconnect()
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

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified):
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def parameterNodeWrapper(cls=None):
    """Class decorator: typed parameters, kept in a vtkMRMLScriptedModuleNode."""
    if cls is None:
        return parameterNodeWrapper
    parameters = parametersOf(cls)
    for name in parameters:
        if hasattr(ParameterNode, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    fields = {name: property(lambda self, name=name: self._values[name],
                             lambda self, value, name=name: self._write(name, value)) for name in parameters}
    own = {name: value for name, value in vars(cls).items() if name not in (*parameters, "__dict__", "__weakref__")}
    return type(cls.__name__, (ParameterNode,), {**own, **fields, "allParameters": parameters})
