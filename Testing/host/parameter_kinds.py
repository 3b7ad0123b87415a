"""How each type of a parameter is kept in a vtkMRMLScriptedModuleNode: under which names, as which text.

The names and texts are the application's, so that a scene saved there and one saved here hold the same.
"""

from __future__ import annotations

import collections.abc
import enum
import pathlib
import types
import typing

import slicer


class Validator:
    """Refuses values; used as annotation: ``Annotated[int, WithinRange(0, 5)]``."""

    def validate(self, value) -> None:
        raise NotImplementedError


class WithinRange(Validator):
    def __init__(self, minimum, maximum) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


class Minimum(Validator):
    def __init__(self, minimum) -> None:
        self.minimum = minimum

    def validate(self, value) -> None:
        if value < self.minimum:
            raise ValueError(f"{value} is less than {self.minimum}")


class Maximum(Validator):
    def __init__(self, maximum) -> None:
        self.maximum = maximum

    def validate(self, value) -> None:
        if value > self.maximum:
            raise ValueError(f"{value} is more than {self.maximum}")


class Choice(Validator):
    def __init__(self, choices) -> None:
        self.choices = choices

    def validate(self, value) -> None:
        if value not in self.choices:
            raise ValueError(f"{value!r} is not one of {self.choices}")


class Default:
    """The default as annotation, or a function that makes it."""

    def __init__(self, value=None, *, generator=None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self):
        return self._generator() if self._generator else self._value


class Text:
    """A type that is one text: int, float, str, bool, a path, an enumeration."""

    def __init__(self, kind: type, accepted, write, read, default) -> None:
        self.kind, self.accepted, self._write, self._read, self.default = kind, accepted, write, read, default

    def validate(self, value) -> None:
        if value is None:
            raise ValueError("Value must not be None")
        if not isinstance(value, self.accepted):
            raise TypeError(f"{value!r} is no {self.kind.__name__}")

    def isIn(self, node, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node, name: str, value) -> None:
        self.validate(value)
        node.SetParameter(name, self._write(value))

    def read(self, node, name: str):
        return self._read(node.GetParameter(name))

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)


class Nodes:
    """A MRML node: a node reference, beside an empty text that tells "none" from "not there"."""

    default = staticmethod(lambda: None)

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def validate(self, value) -> None:
        if value is not None and not isinstance(value, self.kind):
            raise TypeError(f"{value!r} is no {self.kind.__name__}")

    def isIn(self, node, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node, name: str, value) -> None:
        self.validate(value)
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name: str):
        return node.GetNodeReference(name)

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class ObservedList(collections.abc.MutableSequence):
    """A list whose changes go into the parameter node; "+" and "*" are refused, as there."""

    def __init__(self, kind: Lists, node, name: str, values: list) -> None:
        self._kind, self._node, self._name, self._values = kind, node, name, values

    def _changed(self, change, *arguments):
        values = list(self._values)
        result = change(values, *arguments)
        self._kind.write(self._node, self._name, values)
        self._values = values
        return result

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index):
        return self._values[index]

    def __setitem__(self, index, value) -> None:
        self._changed(list.__setitem__, index, value)

    def __delitem__(self, index) -> None:
        self._changed(list.__delitem__, index)

    def insert(self, index: int, value) -> None:
        self._changed(list.insert, index, value)

    def sort(self, **how) -> None:
        self._changed(lambda values: values.sort(**how))

    def __eq__(self, other) -> bool:
        return self._values == (other._values if isinstance(other, ObservedList) else other)

    def __repr__(self) -> str:
        return f"ObservedList({self._values})"

    def __add__(self, _other):
        raise NotImplementedError("A list of a parameter node cannot be added; += can")

    __radd__ = __mul__ = __rmul__ = __add__


class Lists:
    """list[X]: its length, and the items by number."""

    default = list

    def __init__(self, item) -> None:
        self.item = item

    def validate(self, value) -> None:
        for item in value:
            self.item.validate(item)

    def isIn(self, node, name: str) -> bool:
        return bool(node.HasParameter(f"{name}.len"))

    def write(self, node, name: str, value) -> None:
        value = list(value)
        self.validate(value)
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            for index, item in enumerate(value):
                self.item.write(node, f"{name}.{index}", item)
            node.SetParameter(f"{name}.len", str(len(value)))

    def read(self, node, name: str) -> ObservedList:
        length = int(node.GetParameter(f"{name}.len"))
        return ObservedList(self, node, name, [self.item.read(node, f"{name}.{index}") for index in range(length)])

    def remove(self, node, name: str) -> None:
        for index in range(int(node.GetParameter(f"{name}.len") or 0)):
            self.item.remove(node, f"{name}.{index}")
        node.UnsetParameter(f"{name}.len")


class Unions:
    """Optional[X] and X | Y: the first kind that takes the value, under its number; None is a kind, too."""

    def __init__(self, kinds: list) -> None:
        self.kinds = kinds

    def default(self):
        return None if len(self.kinds) == 2 and self.kinds[1] is None else self.kinds[0].default()

    def _kindOf(self, value) -> int:
        for index, kind in enumerate(self.kinds):
            try:
                if kind is not None:
                    kind.validate(value)
                if kind is not None or value is None:
                    return index
            except (TypeError, ValueError):
                continue
        raise TypeError(f"Unable to write value {value!r}")

    validate = _kindOf

    def isIn(self, node, name: str) -> bool:
        return any(node.HasParameter(f"{name}.{index}") if kind is None else kind.isIn(node, f"{name}.{index}")
                   for index, kind in enumerate(self.kinds))

    def write(self, node, name: str, value) -> None:
        chosen = self._kindOf(value)
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            if self.kinds[chosen] is None:
                node.SetParameter(f"{name}.{chosen}", "True")
            else:
                self.kinds[chosen].write(node, f"{name}.{chosen}", value)

    def read(self, node, name: str):
        for index, kind in enumerate(self.kinds):
            if kind is not None and kind.isIn(node, f"{name}.{index}"):
                return kind.read(node, f"{name}.{index}")
        return None

    def remove(self, node, name: str) -> None:
        for index, kind in enumerate(self.kinds):
            node.UnsetParameter(f"{name}.{index}") if kind is None else kind.remove(node, f"{name}.{index}")


class Validated:
    """A kind with the validators of its annotation."""

    def __init__(self, kind, validators: list) -> None:
        self.kind, self.validators = kind, validators
        self.isIn, self.read, self.remove, self.default = kind.isIn, kind.read, kind.remove, kind.default

    def validate(self, value) -> None:
        self.kind.validate(value)
        for validator in self.validators:
            validator.validate(value)

    def write(self, node, name: str, value) -> None:
        self.validate(value)
        self.kind.write(node, name, value)


def split(annotated) -> tuple:
    """A type and its annotations."""
    found = typing.get_args(typing.Annotated[annotated, None])
    return found[0], list(found[1:-1])


def kindOf(annotated):
    """What keeps values of a type; raises for a type that the application cannot keep either."""
    kind, annotations = split(annotated)
    return Validated(_plainKind(kind), [entry for entry in annotations if isinstance(entry, Validator)])


def _plainKind(kind):
    if kind in (int, float):
        return Text(kind, (int, float) if kind is float else int, str, kind, lambda: 0)
    if kind is bool:
        return Text(bool, bool, lambda value: "True" if value else "False", lambda text: text == "True", bool)
    if kind is str:
        return Text(str, str, str, str, str)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return Text(kind, kind, lambda value: value.name, lambda text: _member(kind, text), lambda: next(iter(kind)))
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        return Text(kind, kind, str, kind, kind)
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return Nodes(kind)
    if getattr(kind, "_is_parameterPack", False):
        return kind.packKind
    if typing.get_origin(kind) is list:
        return Lists(kindOf(typing.get_args(kind)[0]))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return Unions([None if part is type(None) else kindOf(part) for part in typing.get_args(kind)])
    raise TypeError(f"Unable to create serializer for type {kind}")


def _member(kind: type, text: str):
    if text not in kind.__members__:
        raise ValueError(f"Found {text!r} in parameter node but it is not a name in {kind!r}")
    return kind[text]
