"""Loads .ui files with the host's widgets, and makes their connections by name, as Qt's loader does in C++."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools

from .manners import described, inPlaceOfQts, wrap
from .widgets import CLASSES


@inPlaceOfQts
class QUiLoader(QtUiTools.QUiLoader):
    """Qt's loader that knows the application's widgets and does not pass over what a file has wrong."""

    def createWidget(self, className: str, parent=None, name: str = ""):
        if className not in CLASSES:
            return super().createWidget(className, parent, name)
        widget = CLASSES[className](parent)
        widget.setObjectName(name)
        return widget

    def load(self, file, parent=None):
        root = ElementTree.fromstring(bytes(file.readAll().data()))
        connections = list(root.iter("connection"))
        for element in root.findall("connections") + root.findall("customwidgets"):
            root.remove(element)
        for element in root.iter("set"):
            if element.text.startswith("ctkPathLineEdit::"):  # unknown to Qt's loader; they are QDir's
                names = [text.rpartition("::")[2] for text in element.text.split("|")]
                element.tag, element.text = "number", str(sum(QtCore.QDir.Filter[name].value for name in names))
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        children = {child.objectName(): child for child in [widget, *widget.findChildren(QtCore.QObject)]}
        for element in root.iter("widget"):
            self.check(element, children.get(element.get("name")), children)
        for connection in connections:
            receiver = wrap(children[connection.findtext("receiver")])
            slot = getattr(receiver, connection.findtext("slot").partition("(")[0])
            wrap(children[connection.findtext("sender")]).connect(connection.findtext("signal"), slot)
        return widget

    @staticmethod
    def check(element, widget, children: dict) -> None:
        """Qt's loader passes over a class or property that it does not know; here it is an error."""
        if widget is None or type(widget).__name__ != element.get("class"):
            raise RuntimeError(f".ui: the host has no {element.get('class')} for {element.get('name')}")
        for entry in element.findall("property"):
            name = entry.get("name")
            if name == "buddy":  # Designer's own, and no property
                widget.setBuddy(children[entry.findtext("cstring")])
            elif entry.get("stdset") != "0" and name not in described(widget)[0]:
                raise RuntimeError(f".ui: {element.get('class')} has no property {name}")
