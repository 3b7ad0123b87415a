"""PythonQt's manners over PySide6: properties are values, signals are connected by signature, unknown names are errors.

Every Qt object that the module under test sees is a :class:`Wrapper` around PySide6's object. Widgets that only the
application has (CTK, qMRML) are written on PySide6 elsewhere and say with two class variables what Python may use:
``hostMethods``, the names of their slots and invokable methods, and ``hostSignals``, the signatures of their signals.
"""

from __future__ import annotations

import inspect
import re
import sys
import traceback

# Before PySide6: enumerations compare and convert as integers, as they do in the application.
sys.pyside6_option_python_enum = 0x02

import shiboken6  # noqa: E402
from PySide6 import QtCore  # noqa: E402

# What went wrong where nobody could catch it: in a slot that Qt called. The application's end asks for it.
failures: list[str] = []

# Names that PySide6 adds to its classes and PythonQt does not know.
PYSIDE_ONLY = {"Signal", "Slot", "Property", "emit", "receivers", "sender", "tr", "thisown", "__enter__", "__exit__"}
# Python types that a property's setter takes; PythonQt refuses others, or makes something surprising of them.
ACCEPTED = {"QString": (str,), "bool": (bool, int), "int": (int,), "double": (int, float)}
ALIASES = {"name": "objectName", "exec_": "exec"}
_classes: dict[type, type] = {}
_described: dict[type, tuple] = {}


class WrapperType(type):
    """Class of the wrapper classes: enumerations and static methods of the wrapped class."""

    def __getattr__(cls, name: str):
        native = type.__getattribute__(cls, "native")
        if name.startswith("__") or name in PYSIDE_ONLY or not hasattr(native, name):
            raise AttributeError(f"{cls.__name__} has no {name}")
        return wrapMember(getattr(native, name), name)


class Wrapper(metaclass=WrapperType):
    """A Qt object as PythonQt shows it."""

    native: type = shiboken6.Object

    def __init__(self, *arguments) -> None:
        if any("eventFilter" in vars(base) for base in type(self).__mro__):
            raise NotImplementedError("the host calls no event filter")
        self.hostAdopt(type(self).native(*[unwrap(argument) for argument in arguments]))

    def hostAdopt(self, native) -> None:
        object.__setattr__(self, "hostNative", native)
        if isinstance(native, QtCore.QObject):
            vars(native)["hostWrapper"] = self

    def __getattr__(self, name: str):
        native, name = object.__getattribute__(self, "hostNative"), ALIASES.get(name, name)
        if hasProperty(native, name):
            return wrap(native.property(name))
        if name in described(native)[1]:
            return BoundSignal(self, name)
        member = getattr(native, name, None) if offered(type(native), name) else None
        if callable(member) and not isinstance(member, type):
            return wrapMember(member, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    def __setattr__(self, name: str, value) -> None:
        native, name = object.__getattribute__(self, "hostNative"), ALIASES.get(name, name)
        if hasProperty(native, name):
            setProperty(native, name, value)
        elif type(self) not in _classes.values():
            object.__setattr__(self, name, value)  # a Python subclass has a dictionary of its own
        else:
            raise AttributeError(f"{type(self).__name__} has no property {name}")

    def __eq__(self, other) -> bool:
        return isinstance(other, Wrapper) and self.hostNative == other.hostNative

    def __hash__(self) -> int:
        return hash(self.hostNative)

    def connect(self, signal: str, slot) -> bool:
        """Connect; a signal that the class does not have is an error here, and only a printed line in PythonQt."""
        return BoundSignal(self, signal, signed=True).connect(slot)

    def disconnect(self, signal: str, slot=None) -> bool:
        return BoundSignal(self, signal, signed=True).disconnect(slot)


class BoundSignal:
    """A signal of one object, as attribute: ``button.clicked.connect(f)``."""

    def __init__(self, owner: Wrapper, text: str, signed: bool = False) -> None:
        self._native = owner.hostNative
        self._signature = described(self._native)[1].get(text.replace(" ", ""))
        if self._signature is None or (signed and "(" not in text):
            raise AttributeError(f"{type(owner).__name__} has no signal {text}")
        self._slots = vars(self._native).setdefault("hostSlots", {}).setdefault(self._signature, [])

    def connect(self, slot) -> bool:
        if not callable(slot):
            raise TypeError(f"connect({self._signature}) needs something that can be called, not {slot!r}")
        self._slots.append((slot, receiver(slot)))
        return bool(QtCore.QObject.connect(self._native, QtCore.SIGNAL(self._signature), self._slots[-1][1]))

    def disconnect(self, slot=None) -> bool:
        chosen = [pair for pair in self._slots if slot is None or pair[0] == slot]
        for pair in chosen:
            QtCore.QObject.disconnect(self._native, QtCore.SIGNAL(self._signature), pair[1])
            self._slots.remove(pair)
        return bool(chosen)


def record(*exception) -> None:
    """Note an exception (type, value, traceback) that no caller gets."""
    failures.append("".join(traceback.format_exception(*exception)))
    print(failures[-1], file=sys.stderr)


def receiver(slot):
    """A slot for PySide6 that calls *slot* as PythonQt does: with as many arguments as it has room for."""
    code = getattr(getattr(slot, "__func__", slot), "__code__", None)
    limited = code is not None and not code.co_flags & inspect.CO_VARARGS
    room = code.co_argcount - inspect.ismethod(slot) if limited else None

    def receive(*arguments):
        try:
            slot(*[wrap(argument) for argument in arguments[:room]])
        except Exception:
            record(*sys.exc_info())

    return receive


def described(native) -> tuple[set[str], dict[str, str]]:
    """The properties of an object's class, and its signals by signature and by name; the first of a name counts."""
    if not isinstance(native, QtCore.QObject):
        return set(), {}
    if type(native) not in _described:
        meta = native.metaObject()
        methods = [meta.method(index) for index in range(meta.methodCount())]
        texts = [bytes(method.methodSignature().data()).decode() for method in methods
                 if method.methodType() == QtCore.QMetaMethod.MethodType.Signal]
        # A signal of ours with a VTK object has one of Python's in PySide6, which no module names.
        own = [text for base in type(native).__mro__ for text in vars(base).get("hostSignals", ())]
        signals = {text: re.sub(r"vtk\w+\*", "PyObject", text) for text in own}
        signals.update({text: text for text in texts if "PyObject" not in text})
        named = {text.partition("(")[0]: found for text, found in reversed(signals.items())}
        properties = {meta.property(index).name() for index in range(meta.propertyCount())}
        _described[type(native)] = properties, {**named, **signals}
    return _described[type(native)]


def hasProperty(native, name: str) -> bool:
    """Whether the object has the property, of its class or a dynamic one."""
    return name in described(native)[0] or (
        isinstance(native, QtCore.QObject) and name.encode() in native.dynamicPropertyNames())


def setProperty(native, name: str, value) -> None:
    """Write a property that exists; what Qt would not take, or take as something else, is an error."""
    index = native.metaObject().indexOfProperty(name)
    if index >= 0:
        known = native.metaObject().property(index)
        if not known.isWritable():
            raise AttributeError(f"property {name} of {type(native).__name__} is read-only")
        if not isinstance(value, ACCEPTED.get(known.typeName(), object)):
            raise TypeError(f"property {name} of type {known.typeName()} does not accept {value!r}")
    native.setProperty(name, unwrap(value))


def offered(cls: type, name: str) -> bool:
    """Whether a class lets Python call its method *name*: of ours what they list, of Qt's what is not PySide6's own."""
    return not name.startswith("__") and name not in PYSIDE_ONLY and any(
        name in vars(base).get("hostMethods", ()) or (
            name in vars(base) and base.__module__.startswith(("PySide6.", "shiboken6"))) for base in cls.__mro__)


def wrapMember(member, name: str):
    """A method that takes and gives wrapped objects; anything else as it is."""
    if not callable(member) or isinstance(member, type):
        return member

    def call(*arguments):
        values = [unwrap(argument) for argument in arguments]
        if name == "singleShot":
            values[-1] = receiver(values[-1])
        elif any(inspect.isroutine(value) for value in values):
            raise TypeError(f"{name}() takes no Python function; connect a signal instead")
        return wrap(member(*values))

    return call


def classFor(native: type) -> type:
    """The wrapper class of a PySide6 class; bases follow bases."""
    if native not in _classes:
        bases = [classFor(base) for base in native.__bases__ if issubclass(base, shiboken6.Object)]
        _classes[native] = WrapperType(native.__name__, tuple(bases) or (Wrapper,), {"native": native})
    return _classes[native]


def inPlaceOfQts(native: type) -> type:
    """Class decorator: the module under test gets this class wherever it asks for its Qt base."""
    qts = classFor(native.__bases__[0])
    qts.native, _classes[native] = native, qts
    return native


def wrap(value):
    """What Python sees of a value that comes from Qt."""
    if isinstance(value, shiboken6.Object):
        known = vars(value).get("hostWrapper") if isinstance(value, QtCore.QObject) else None
        if known is None:
            known = object.__new__(classFor(type(value)))
            known.hostAdopt(value)
        return known
    return type(value)(wrap(item) for item in value) if type(value) in (list, tuple) else value


def unwrap(value):
    """What Qt gets of a value that comes from Python."""
    if isinstance(value, Wrapper):
        return value.hostNative
    if isinstance(value, WrapperType):
        return value.native
    return type(value)(unwrap(item) for item in value) if type(value) in (list, tuple) else value
