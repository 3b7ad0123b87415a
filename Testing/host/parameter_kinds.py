"""How each type of a parameter is kept in a vtkMRMLScriptedModuleNode: under the names and texts of the application."""

from __future__ import annotations

import enum
import pathlib
import types
import typing

import slicer


class Validator:
    """Refuses values; used as annotation: ``Annotated[int, WithinRange(0, 5)]``."""

    names: tuple[str, ...] = ()
    accepts = staticmethod(lambda self, value: True)

    def __init__(self, *limits) -> None:
        vars(self).update(zip(self.names, limits, strict=True))

    def validate(self, value) -> None:
        if not type(self).accepts(self, value):
            raise ValueError(f"{value!r} is refused by {type(self).__name__}({vars(self)})")


def _validator(name: str, names: tuple, accepts) -> type:
    return type(name, (Validator,), {"names": names, "accepts": staticmethod(accepts)})


WithinRange = _validator(
    "WithinRange", ("minimum", "maximum"), lambda self, value: self.minimum <= value <= self.maximum)
Minimum = _validator("Minimum", ("minimum",), lambda self, value: value >= self.minimum)
Maximum = _validator("Maximum", ("maximum",), lambda self, value: value <= self.maximum)
Choice = _validator("Choice", ("choices",), lambda self, value: value in self.choices)


class Default:
    """The default as annotation, or a function that makes it."""

    def __init__(self, value=None, *, generator=None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self):
        return self._generator() if self._generator else self._value


class Kind:
    """A type that is one text: int, float, str, bool, a path, an enumeration; the others derive from it."""

    def __init__(self, kind, accepted=None, write=str, read=None, default=None, validators=()) -> None:
        self.kind, self.accepted, self.validators = kind, accepted or kind, validators
        self.toText, self.fromText, self.default = write, read or kind, default or kind

    def check(self, value) -> None:
        if value is None:
            raise ValueError("Value must not be None")
        if not isinstance(value, self.accepted):
            raise TypeError(f"{value!r} is no {self.kind.__name__}")

    def validate(self, value) -> None:
        self.check(value)
        for validator in self.validators:
            validator.validate(value)

    def isIn(self, node, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node, name: str, value) -> None:
        self.validate(value)
        with slicer.util.NodeModify(node):
            self.store(node, name, value)

    def store(self, node, name: str, value) -> None:
        node.SetParameter(name, self.toText(value))

    def read(self, node, name: str):
        return self.fromText(node.GetParameter(name))

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)


class NodeKind(Kind):
    """A MRML node: a node reference, beside an empty text that tells "none" from "not there"."""

    def check(self, value) -> None:
        if value is not None:
            super().check(value)

    def store(self, node, name: str, value) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name: str):
        return node.GetNodeReference(name)

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class ObservedList(list):
    """A list whose changes go into the parameter node; "+" and "*" are refused, as there."""

    def __add__(self, _other):
        raise NotImplementedError("A list of a parameter node cannot be added; += can")

    __radd__ = __mul__ = __rmul__ = __add__


def _observed(name: str):
    def change(self, *arguments, **named):
        values = list(self)
        result = getattr(values, name)(*arguments, **named)
        self.save(values)
        list.__setitem__(self, slice(None), values)
        return self if name == "__iadd__" else result

    return change


for _name in ("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "__setitem__", "__delitem__",
              "__iadd__"):
    setattr(ObservedList, _name, _observed(_name))


class ListKind(Kind):
    """list[X]: its length, and the items by number."""

    def check(self, value) -> None:
        for item in value:
            self.kind.validate(item)

    def isIn(self, node, name: str) -> bool:
        return bool(node.HasParameter(f"{name}.len"))

    def store(self, node, name: str, value) -> None:
        self.remove(node, name)
        for index, item in enumerate(value):
            self.kind.write(node, f"{name}.{index}", item)
        node.SetParameter(f"{name}.len", str(len(value)))

    def read(self, node, name: str) -> ObservedList:
        length = int(node.GetParameter(f"{name}.len"))
        found = ObservedList(self.kind.read(node, f"{name}.{index}") for index in range(length))
        found.save = lambda values: self.write(node, name, values)
        return found

    def remove(self, node, name: str) -> None:
        for index in range(int(node.GetParameter(f"{name}.len") or 0)):
            self.kind.remove(node, f"{name}.{index}")
        node.UnsetParameter(f"{name}.len")


class NoneKind(Kind):
    """None, as a part of a union."""

    def check(self, value) -> None:
        if value is not None:
            raise ValueError("Value must be None")


class UnionKind(Kind):
    """X | None and X | Y: the first kind that takes the value, under its number."""

    def check(self, value) -> int:
        for index, kind in enumerate(self.kind):
            try:
                kind.validate(value)
                return index
            except (TypeError, ValueError):
                continue
        raise TypeError(f"Unable to write value {value!r}")

    def isIn(self, node, name: str) -> bool:
        return any(kind.isIn(node, f"{name}.{index}") for index, kind in enumerate(self.kind))

    def store(self, node, name: str, value) -> None:
        self.remove(node, name)
        self.kind[self.check(value)].write(node, f"{name}.{self.check(value)}", value)

    def read(self, node, name: str):
        return next((kind.read(node, f"{name}.{index}") for index, kind in enumerate(self.kind)
                     if kind.isIn(node, f"{name}.{index}")), None)

    def remove(self, node, name: str) -> None:
        for index, kind in enumerate(self.kind):
            kind.remove(node, f"{name}.{index}")


def split(annotated) -> tuple:
    """A type and its annotations."""
    found = typing.get_args(typing.Annotated[annotated, None])
    return found[0], list(found[1:-1])


def kindOf(annotated) -> Kind:
    """What keeps values of a type; raises for a type that the application cannot keep either."""
    kind, annotations = split(annotated)
    validators = [entry for entry in annotations if isinstance(entry, Validator)]
    isClass, origin = isinstance(kind, type), typing.get_origin(kind)
    if kind in (int, float):
        return Kind(kind, (int, float) if kind is float else int, default=int, validators=validators)
    if kind is str:
        return Kind(str, validators=validators)
    if kind is bool:
        return Kind(bool, read=lambda text: text == "True", validators=validators)
    if isClass and issubclass(kind, enum.Enum):
        def member(text: str):
            if text not in kind.__members__:
                raise ValueError(f"Found {text!r} in parameter node but it is not a name in {kind!r}")
            return kind[text]

        return Kind(kind, None, lambda value: value.name, member, lambda: next(iter(kind)), validators)
    if isClass and issubclass(kind, pathlib.PurePath):
        return Kind(kind, validators=validators)
    if isClass and issubclass(kind, slicer.vtkMRMLNode):
        return NodeKind(kind, default=lambda: None, validators=validators)
    if getattr(kind, "_is_parameterPack", False):
        return kind.packKind
    if origin is list:
        return ListKind(kindOf(typing.get_args(kind)[0]), default=list, validators=validators)
    if origin in (typing.Union, types.UnionType):
        parts = typing.get_args(kind)
        kinds = [NoneKind(type(None), read=lambda text: None) if part is type(None) else kindOf(part) for part in parts]
        optional = len(parts) == 2 and parts[1] is type(None)
        return UnionKind(kinds, default=(lambda: None) if optional else kinds[0].default, validators=validators)
    raise TypeError(f"Unable to create serializer for type {kind}")
