"""Just enough of the application to run the module file on the bare core: its base classes, a timer, plain widgets.

The widgets are strict where PythonQt is: a property that the class is not given here cannot be set, signals must be
known, and properties are values, not methods. The real names are checked elsewhere; here it is the behaviour.
"""

from __future__ import annotations

import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import slicer

PROPERTIES = {
    "QPushButton": {"enabled": True, "toolTip": ""},
    "QCheckBox": {"checked": False},
    "QLabel": {"text": ""},
    "QProgressBar": {"visible": True, "value": 0},
    "QPlainTextEdit": {},
    "QListWidget": {"count": 0},
}


class Widget:
    """A widget with the properties of its class and the connections that were made."""

    def __init__(self, className: str) -> None:
        object.__setattr__(self, "slots", {})
        for name, value in PROPERTIES.get(className, {}).items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value) -> None:
        if not hasattr(self, name):
            raise AttributeError(f"no property {name}")
        object.__setattr__(self, name, value)

    def connect(self, signal: str, slot) -> None:
        self.slots[signal] = slot

    def click(self) -> None:
        assert self.enabled, f"disabled: {self.toolTip}"
        self.slots["clicked(bool)"](False)

    def setRange(self, minimum: int, maximum: int) -> None:
        object.__setattr__(self, "range", (minimum, maximum))

    def appendPlainText(self, text: str) -> None:
        object.__setattr__(self, "plain", f"{getattr(self, 'plain', '')}{text}\n")


class Item:
    """A row of a list widget."""

    def __init__(self, text: str, changed) -> None:
        self.text, self._changed, self._data, self._state = text, changed, {}, 0

    def setData(self, role, value) -> None:
        self._data[role] = value

    def data(self, role):
        return self._data.get(role)

    def setToolTip(self, text: str) -> None:
        pass

    def setFlags(self, flags) -> None:
        pass

    def checkState(self):
        return self._state

    def setCheckState(self, state) -> None:
        changed, self._state = self._state != state, state
        if changed:
            self._changed(self)


class ListWidget(Widget):
    """A list of tick boxes."""

    def __init__(self) -> None:
        super().__init__("QListWidget")
        object.__setattr__(self, "items", [])

    def clear(self) -> None:
        self.items.clear()
        self.count = 0

    def addItem(self, text: str) -> None:
        self.items.append(Item(text, lambda item: self.slots["itemChanged(QListWidgetItem*)"](item)))
        self.count = len(self.items)

    def item(self, row: int) -> Item:
        return self.items[row]


class ParameterNode:
    """A parameter node of which only changes are told; stands in for the wrapped MRML node."""

    def __init__(self, names: dict) -> None:
        object.__setattr__(self, "observers", {})
        for name, value in names.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value) -> None:
        assert hasattr(self, name), name
        object.__setattr__(self, name, value)
        for observer in list(self.observers.values()):
            observer(self, "ModifiedEvent")

    def AddObserver(self, _event, observer) -> int:
        tag = len(self.observers) + 1
        self.observers[tag] = observer
        return tag

    def RemoveObserver(self, tag: int) -> None:
        del self.observers[tag]

    def connectGui(self, _ui) -> str:
        return "tag"

    def disconnectGui(self, tag: str) -> None:
        assert tag == "tag"


def widgetsOf(uiFile: Path) -> types.SimpleNamespace:
    """The widgets of a .ui file by name."""
    elements = ElementTree.parse(uiFile).getroot().iter("widget")
    return types.SimpleNamespace(**{
        element.get("name"): ListWidget() if element.get("class") == "QListWidget" else Widget(element.get("class"))
        for element in elements})


def install(monkeypatch, temporaryPath: Path, due: list) -> None:
    """Put the stand-ins where the module file imports them from; timers append to *due*."""
    base = {"__init__": lambda self, *arguments: None, "removeObservers": lambda self: None}
    classes = types.ModuleType("slicer.ScriptedLoadableModule")
    for name in ("ScriptedLoadableModule", "ScriptedLoadableModuleLogic", "ScriptedLoadableModuleWidget"):
        setattr(classes, name, type(name, (), dict(base, setup=lambda self: None)))
    classes.ScriptedLoadableModuleLogic.getParameterNode = lambda self: None
    classes.ScriptedLoadableModuleTest = type("ScriptedLoadableModuleTest", (__import__("unittest").TestCase,), {
        "delayDisplay": lambda self, text: None})
    wrapper = types.ModuleType("slicer.parameterNodeWrapper")
    wrapper.parameterNodeWrapper = lambda cls: lambda _node: ParameterNode({
        name: getattr(cls, name, [] if name == "models" else None) for name in cls.__annotations__})
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr, i18n.translate = lambda text: text, lambda _context, text: text
    qt = types.ModuleType("qt")
    qt.Qt = types.SimpleNamespace(UserRole=256, Checked=2, Unchecked=0, ItemIsUserCheckable=16, ItemIsEnabled=32)
    qt.QTimer = types.SimpleNamespace(singleShot=lambda milliseconds, function: due.append(function))
    for module in (classes, wrapper, i18n, qt):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    application = types.SimpleNamespace(temporaryPath=str(temporaryPath), processEvents=lambda: due.pop(0)())
    monkeypatch.setattr(slicer, "app", application, raising=False)
