"""PythonQt's manners over PySide6: properties are values, signals are connected by signature, unknown names are errors.

Every Qt object that the module under test sees is a :class:`Wrapper` around PySide6's object. Widgets that only the
application has (CTK, qMRML) are written on PySide6 elsewhere and say with two class variables what Python may use:
``hostMethods``, the names of their slots and invokable methods, and ``hostSignals``, from signature to PySide6 signal.
A class with ``hostTransparent`` adds no name to its Qt base; with ``hostReplaces`` it also stands in its place.
"""

from __future__ import annotations

import functools
import inspect
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
        native = type(self).native
        if "eventFilter" in dir(type(self)) and not hasattr(type(self).eventFilter, "native"):
            native = filtering(native, self)
        adopt(self, native(*[unwrap(argument) for argument in arguments]))

    def __getattr__(self, name: str):
        native = object.__getattribute__(self, "hostNative")
        if name == "name" and isinstance(native, QtCore.QObject) and not hasProperty(native, name):
            name = "objectName"
        if hasProperty(native, name):
            return wrap(native.property(name))
        if findSignal(native, name):
            return BoundSignal(self, findSignal(native, name))
        if name == "exec_":
            name = "exec"
        member = getattr(native, name, None) if offered(type(native), name) else None
        if callable(member) and not isinstance(member, type):
            return wrapMember(member, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    def __setattr__(self, name: str, value) -> None:
        native = object.__getattribute__(self, "hostNative")
        if name == "name" and isinstance(native, QtCore.QObject) and not hasProperty(native, name):
            name = "objectName"
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

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.hostNative!r}>"

    def __or__(self, other):
        return wrap(self.hostNative | unwrap(other))

    def connect(self, signal: str, slot) -> bool:
        """Connect; a signal that the class does not have is an error here, and only a printed line in PythonQt."""
        found = findSignal(self.hostNative, signal) if "(" in signal else None
        if not found:
            raise AttributeError(f"{type(self).__name__} has no signal {signal}")
        BoundSignal(self, found).connect(slot)
        return True

    def disconnect(self, signal: str, slot=None) -> bool:
        found = findSignal(self.hostNative, signal) if "(" in signal else None
        if not found:
            raise AttributeError(f"{type(self).__name__} has no signal {signal}")
        return BoundSignal(self, found).disconnect(slot)

    def className(self) -> str:
        return type(self.hostNative).__name__

    def delete(self) -> None:
        shiboken6.delete(self.hostNative)

    def findChild(self, kind, name: str = ""):
        found = [child for child in self.findChildren(kind) if not name or child.objectName == name]
        return found[0] if found else None

    def findChildren(self, kind, name: str = "") -> list:
        children = [wrap(child) for child in self.hostNative.findChildren(QtCore.QObject)]
        matches = (lambda child: isinstance(child, kind)) if isinstance(kind, type) else (
            lambda child: kind in [base.__name__ for base in type(child).__mro__])
        return [child for child in children if matches(child) and (not name or child.objectName == name)]


class BoundSignal:
    """A signal of one object, as attribute: ``button.clicked.connect(f)``, ``button.clicked()``."""

    def __init__(self, owner: Wrapper, found: tuple[str, str]) -> None:
        self._owner, (self._kind, self._signature) = owner, found
        self._slots = owner.hostNative.__dict__.setdefault("hostSlots", {}).setdefault(self._signature, [])

    def connect(self, slot) -> bool:
        target = slot if callable(slot) else None
        if target is None:
            raise TypeError(f"connect({self._signature}) needs something that can be called, not {slot!r}")
        receive = receiver(target)
        if self._kind == "host":
            getattr(self._owner.hostNative, self._signature).connect(receive)
        else:
            QtCore.QObject.connect(self._owner.hostNative, QtCore.SIGNAL(self._signature), receive)
        self._slots.append((slot, receive))
        return True

    def disconnect(self, slot=None) -> bool:
        chosen = [pair for pair in self._slots if slot is None or pair[0] == slot]
        for pair in chosen:
            if self._kind == "host":
                getattr(self._owner.hostNative, self._signature).disconnect(pair[1])
            else:
                QtCore.QObject.disconnect(self._owner.hostNative, QtCore.SIGNAL(self._signature), pair[1])
            self._slots.remove(pair)
        return bool(chosen)

    def emit(self, *arguments) -> None:
        signal = getattr(self._owner.hostNative, self._signature.partition("(")[0])
        signal.emit(*[unwrap(argument) for argument in arguments])

    __call__ = emit


def receiver(slot):
    """A slot for PySide6 that calls *slot* as PythonQt does: with as many arguments as it has room for."""
    room = None
    if inspect.isfunction(slot) or inspect.ismethod(slot):
        code = slot.__code__ if inspect.isfunction(slot) else slot.__func__.__code__
        if not code.co_flags & inspect.CO_VARARGS:
            room = code.co_argcount - inspect.ismethod(slot)

    def receive(*arguments):
        try:
            slot(*[wrap(argument) for argument in arguments[:room]])
        except Exception:
            failures.append(traceback.format_exc())
            print(failures[-1], file=sys.stderr)

    return receive


def findSignal(native, text: str) -> tuple[str, str] | None:
    """The signal *text* of an object, with or without its arguments: its kind and name."""
    if not isinstance(native, QtCore.QObject):
        return None
    if "(" in text:
        text = bytes(QtCore.QMetaObject.normalizedSignature(text).data()).decode()
    return described(native)[1].get(text)


@functools.lru_cache
def signalsOf(cls: type) -> dict[str, tuple[str, str]]:
    """The signals that a class of ours offers, by signature."""
    return {bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode(): ("host", attribute)
            for signature, attribute in getattr(cls, "hostSignals", {}).items()}


def described(native) -> tuple[set[str], dict[str, tuple[str, str]]]:
    """The properties of an object's class, and its signals by signature and by name; the first of a name counts."""
    if type(native) not in _described:
        meta, own = native.metaObject(), signalsOf(type(native))
        hidden = {name for cls in type(native).__mro__ for name, value in vars(cls).items()
                  if type(value).__name__ == "Signal" and not cls.__module__.startswith("PySide6.")}
        methods = [meta.method(index) for index in range(meta.methodCount())]
        texts = [bytes(method.methodSignature().data()).decode() for method in methods
                 if method.methodType() == QtCore.QMetaMethod.MethodType.Signal]
        signals = {**own, **{text: ("qt", text) for text in texts if text.partition("(")[0] not in hidden}}
        named = {signature.partition("(")[0]: found for signature, found in reversed(list(signals.items()))}
        properties = {meta.property(index).name() for index in range(meta.propertyCount())}
        _described[type(native)] = properties, {**named, **signals}
    return _described[type(native)]


def hasProperty(native, name: str) -> bool:
    """Whether the object has the property, of its class or a dynamic one."""
    return isinstance(native, QtCore.QObject) and (name in described(native)[0] or name.encode() in [
        bytes(known.data()) for known in native.dynamicPropertyNames()])


def setProperty(native, name: str, value) -> None:
    """Write a property that exists; what Qt would not take, or take as something else, is an error."""
    meta = native.metaObject()
    index = meta.indexOfProperty(name)
    if index >= 0:
        described = meta.property(index)
        accepted = ACCEPTED.get(described.typeName())
        if not described.isWritable():
            raise AttributeError(f"property {name} of {type(native).__name__} is read-only")
        if accepted and not isinstance(value, accepted):
            raise TypeError(f"property {name} of type {described.typeName()} does not accept {value!r}")
    native.setProperty(name, unwrap(value))


def offered(cls: type, name: str) -> bool:
    """Whether a class lets Python call its method *name*: of ours what they list, of Qt's what is not PySide6's own."""
    if name.startswith("__") or name in PYSIDE_ONLY:
        return False
    return name in getattr(cls, "hostMethods", ()) or any(
        name in base.__dict__ for base in cls.__mro__ if base.__module__.startswith(("PySide6.", "shiboken6")))


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

    call.__name__ = name
    call.native = member
    return call


def filtering(native: type, wrapper: Wrapper) -> type:
    """The class *native* whose event filter is the Python subclass's."""
    return type(native.__name__, (native,), {"hostTransparent": True, "eventFilter": lambda self, watched, event: bool(
        hasattr(wrapper, "hostNative") and wrapper.eventFilter(wrap(watched), wrap(event)))})


def adopt(wrapper: Wrapper, native) -> None:
    object.__setattr__(wrapper, "hostNative", native)
    if isinstance(native, QtCore.QObject):
        native.__dict__["hostWrapper"] = wrapper


def classFor(native: type) -> type:
    """The wrapper class of a PySide6 class; bases follow bases."""
    if native in _classes:
        return _classes[native]
    replaced = native.__bases__[0] if native.__dict__.get("hostReplaces") else None
    bases = [classFor(base) for base in (replaced or native).__bases__ if issubclass(base, shiboken6.Object)]
    if native.__dict__.get("hostTransparent") and not replaced:
        return bases[0]
    made = WrapperType(native.__name__, tuple(bases) or (Wrapper,), {"native": native})
    _classes[native] = made
    if replaced:
        _classes[replaced] = made
    return made


_classes[shiboken6.Object] = Wrapper


def wrap(value):
    """What Python sees of a value that comes from Qt."""
    if isinstance(value, shiboken6.Object):
        known = value.__dict__.get("hostWrapper") if isinstance(value, QtCore.QObject) else None
        if known is None:
            known = object.__new__(classFor(type(value)))
            adopt(known, value)
        return known
    if isinstance(value, list):
        return [wrap(item) for item in value]
    return tuple(wrap(item) for item in value) if type(value) is tuple else value


def unwrap(value):
    """What Qt gets of a value that comes from Python."""
    if isinstance(value, Wrapper):
        return value.hostNative
    if isinstance(value, WrapperType):
        return value.native
    if isinstance(value, list | tuple):
        return type(value)(unwrap(item) for item in value) if type(value) in (list, tuple) else value
    return value
