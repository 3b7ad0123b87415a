"""Loads .ui files with the host's widgets, and makes their connections by name, as Qt's loader does in C++."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools

from .manners import described, wrap

# Class name to host class; ctk_widgets and mrml_widgets put theirs in.
widgetClasses: dict[str, type] = {}


class QUiLoader(QtUiTools.QUiLoader):
    """Qt's loader that knows the application's widgets and does not pass over what a file has wrong."""

    hostTransparent = hostReplaces = True

    def createWidget(self, className: str, parent=None, name: str = ""):
        if className not in widgetClasses:
            return super().createWidget(className, parent, name)
        widget = widgetClasses[className](parent)
        widget.setObjectName(name)
        return widget

    def load(self, file, parent=None):
        root = ElementTree.fromstring(bytes(file.readAll().data()))
        connections = [[connection.findtext(part) for part in ("sender", "signal", "receiver", "slot")]
                       for connection in root.iter("connection")]
        for element in root.findall("connections") + root.findall("customwidgets"):
            root.remove(element)
        flags, buffer = self.takeFlags(root), QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        children = {child.objectName(): child for child in [widget, *widget.findChildren(QtCore.QObject)]}
        self.checkProperties(root, children)
        for name, flag, value in flags:
            children[name].setProperty(flag, value)
        for sender, signal, target, slot in connections:
            wrap(children[sender]).connect(signal, getattr(wrap(children[target]), slot.partition("(")[0]))
        return widget

    @staticmethod
    def takeFlags(root) -> list[tuple[str, str, int]]:
        """Take out the properties with enumerations of our own classes, which Qt's loader cannot read."""
        taken = []
        for element in root.iter("widget"):
            values = getattr(widgetClasses.get(element.get("class")), "hostFlags", {})
            for entry in element.findall("property"):
                text = entry.findtext("set") or entry.findtext("enum") or ""
                if text.startswith(("ctk", "qMRML")):
                    value = sum(values[part.rpartition("::")[2]] for part in text.split("|"))
                    taken.append((element.get("name"), entry.get("name"), value))
                    element.remove(entry)
        return taken

    @staticmethod
    def checkProperties(root, children: dict) -> None:
        """Qt's loader passes over a class or property that it does not know; here it is an error."""
        for element in root.iter("widget"):
            widget, wanted = children.get(element.get("name")), element.get("class")
            if widget is None or type(widget).__name__ != {"Line": "QFrame"}.get(wanted, wanted):
                raise RuntimeError(f".ui: {element.get('name')} should be a {wanted}, which the host does not have")
            for entry in element.findall("property"):
                name = entry.get("name")
                if name == "buddy":  # Designer's own, and no property
                    widget.setBuddy(children[entry.findtext("cstring")])
                elif entry.get("stdset") != "0" and name not in described(widget)[0]:
                    raise RuntimeError(f".ui: {wanted} has no property {name}")
