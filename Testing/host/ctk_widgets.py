"""The CTK widgets that the modules use, with the properties, signals and slots that CTK gives them."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from .dialogs import QFileDialog, QMessageBox
from .ui_loader import widgetClasses


def stored(kind, name: str, default, after: str = ""):
    """A property that is only remembered; *after* names a method to call when it was written."""

    def write(self, value) -> None:
        vars(self)[f"stored_{name}"] = value
        if after:
            getattr(self, after)()

    return Property(kind, lambda self: vars(self).get(f"stored_{name}", default), write)


def row(widget, *parts) -> None:
    """Put the parts of a widget side by side, without margins; the first takes the focus and the room."""
    layout = QtWidgets.QHBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        layout.addWidget(part)
    layout.setStretch(0, 1)
    widget.setFocusProxy(parts[0])


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A titled section whose contents are hidden while it is collapsed."""

    contentsChanged = Signal(bool)
    hostSignals = {"contentsCollapsed(bool)": "contentsChanged"}
    HEIGHT = 24

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self.HEIGHT, 0, 0)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.toggled.connect(self._showContents)

    def _showContents(self, shown: bool) -> None:
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                if not shown:  # what the module hides itself stays hidden when the section opens
                    child.setProperty("hostHidden", child.isHidden())
                child.setVisible(shown and not child.property("hostHidden"))
        self.updateGeometry()
        self.contentsChanged.emit(not shown)

    def childEvent(self, event) -> None:
        if event.type() == QtCore.QEvent.Type.ChildPolished and not self.isChecked():
            if isinstance(event.child(), QtWidgets.QWidget):
                event.child().setVisible(False)
        super().childEvent(event)

    def _size(self, inner: str) -> QtCore.QSize:
        size = getattr(self.layout(), inner)() if self.layout() and self.isChecked() else QtCore.QSize(0, 0)
        return size.expandedTo(QtCore.QSize(60, self.HEIGHT))

    def sizeHint(self) -> QtCore.QSize:
        return self._size("totalSizeHint")

    def minimumSizeHint(self) -> QtCore.QSize:
        return self._size("totalMinimumSize")

    def hitButton(self, position) -> bool:
        return position.y() < self.HEIGHT

    def paintEvent(self, _event) -> None:
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width(), self.HEIGHT)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        painter.drawItemText(option.rect.adjusted(26, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, option.palette,
                             self.isEnabled(), self.text(), self.palette().ColorRole.ButtonText)
        option.rect = QtCore.QRect(8, self.HEIGHT // 2 - 6, 12, 12)
        arrow = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(arrow.PE_IndicatorArrowDown if self.isChecked() else arrow.PE_IndicatorArrowRight, option)

    collapsed = Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a history and a button that asks for one."""

    pathChanged = Signal(str)
    hostSignals = {"currentPathChanged(QString)": "pathChanged"}
    hostMethods = ("addCurrentPathToHistory", "browse", "setCurrentPath", "comboBox")
    # QDir's filters
    hostFlags = {"Dirs": 1, "Files": 2, "Drives": 4, "NoSymLinks": 8, "Readable": 16, "Writable": 32, "Executable": 64,
                 "Hidden": 256, "System": 512, "NoDot": 0x2000, "NoDotDot": 0x4000, "NoDotAndDotDot": 0x6000}

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._combo, self._button = QtWidgets.QComboBox(self), QtWidgets.QToolButton(self)
        self._combo.setEditable(True)
        self._button.setText("...")
        row(self, self._combo, self._button)
        self._combo.editTextChanged.connect(self.pathChanged)
        self._button.clicked.connect(lambda: self.browse())

    def comboBox(self):
        return self._combo

    def setCurrentPath(self, path: str) -> None:
        if path != self._combo.currentText():
            self._combo.setEditText(path)

    def addCurrentPathToHistory(self) -> None:
        if self._combo.findText(self._combo.currentText()) < 0:
            self._combo.insertItem(0, self._combo.currentText())

    def browse(self) -> None:
        wantsFile = self.filters & self.hostFlags["Files"]
        ask = QFileDialog.getOpenFileName if wantsFile else QFileDialog.getExistingDirectory
        self.setCurrentPath(ask(self, "", self._combo.currentText()) or self._combo.currentText())

    currentPath = Property(str, lambda self: self._combo.currentText(), setCurrentPath)
    filters, settingKey = stored(int, "filters", 1), stored(str, "settingKey", "")
    options, nameFilters = stored(int, "options", 0), stored("QStringList", "nameFilters", [])
    showHistoryButton = stored(bool, "showHistoryButton", True)


def _ofSpinBox(kind, name: str):
    setter = f"set{name[0].upper()}{name[1:]}"
    return Property(kind, lambda self: getattr(self._spin, name)(),
                    lambda self, value: getattr(self._spin, setter)(value))


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box."""

    changed = Signal(float)
    hostSignals = {"valueChanged(double)": "changed"}
    hostMethods = ("setDecimals", "setSpinBoxVisible", "setValue")
    STEPS = 1000

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._spin = QtWidgets.QDoubleSpinBox(self)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, self.STEPS)
        row(self, self._slider, self._spin)
        self._slider.sliderMoved.connect(lambda place: self._spin.setValue(
            self._spin.minimum() + place / self.STEPS * (self._spin.maximum() - self._spin.minimum())))
        self._spin.valueChanged.connect(self._follow)
        self._spin.valueChanged.connect(self.changed)

    def _follow(self, value: float) -> None:
        width = self._spin.maximum() - self._spin.minimum()
        if not self._slider.isSliderDown():
            self._slider.setValue(round((value - self._spin.minimum()) / width * self.STEPS) if width else 0)

    def setValue(self, value: float) -> None:
        self._spin.setValue(value)

    def setDecimals(self, decimals: int) -> None:
        self._spin.setDecimals(decimals)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._spin.setVisible(visible)

    value, minimum, maximum = (_ofSpinBox(float, name) for name in ("value", "minimum", "maximum"))
    singleStep, decimals = _ofSpinBox(float, "singleStep"), _ofSpinBox(int, "decimals")
    suffix, prefix = _ofSpinBox(str, "suffix"), _ofSpinBox(str, "prefix")
    pageStep, tracking = stored(float, "pageStep", 1.0), stored(bool, "tracking", True)


class ctkMessageBox(QMessageBox):
    """QMessageBox with "do not show again"."""

    dontShowAgain = stored(bool, "dontShowAgain", False)
    dontShowAgainVisible = stored(bool, "dontShowAgainVisible", False)
    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "")


CLASSES = {name: value for name, value in list(globals().items()) if name.startswith("ctk")}
widgetClasses.update(CLASSES)
