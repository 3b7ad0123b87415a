"""The CTK widgets that the modules use, with the properties, signals and slots that CTK gives them."""

from __future__ import annotations

from pathlib import Path

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from .dialogs import QFileDialog, QMessageBox
from .ui_loader import widgetClasses


def stored(kind, name: str, default, after: str = ""):
    """A property that is only remembered; *after* names a method to call when it was written."""

    def read(self):
        return self.__dict__.get(f"stored_{name}", list(default) if isinstance(default, list) else default)

    def write(self, value) -> None:
        self.__dict__[f"stored_{name}"] = value
        if after:
            getattr(self, after)()

    return Property(kind, read, write)


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
                # What the module hides itself stays hidden when the section opens.
                if not shown:
                    child.setProperty("hostHidden", child.isHidden())
                child.setVisible(shown and not child.property("hostHidden"))
        self.updateGeometry()
        self.contentsChanged.emit(not shown)

    def childEvent(self, event) -> None:
        if event.type() == QtCore.QEvent.Type.ChildPolished and not self.isChecked():
            if isinstance(event.child(), QtWidgets.QWidget):
                event.child().setVisible(False)
        super().childEvent(event)

    def sizeHint(self) -> QtCore.QSize:
        inner = self.layout().totalSizeHint() if self.layout() and self.isChecked() else QtCore.QSize(0, self.HEIGHT)
        return QtCore.QSize(max(inner.width(), self.fontMetrics().horizontalAdvance(self.text()) + 40), inner.height())

    def minimumSizeHint(self) -> QtCore.QSize:
        inner = self.layout().totalMinimumSize() if self.layout() and self.isChecked() else QtCore.QSize(0, self.HEIGHT)
        return QtCore.QSize(max(inner.width(), 60), max(inner.height(), self.HEIGHT))

    def hitButton(self, position) -> bool:
        return position.y() < self.HEIGHT

    def paintEvent(self, _event) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width(), self.HEIGHT)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        option.text = self.text()
        option.rect.adjust(26, 0, 0, 0)
        painter.drawItemText(option.rect, QtCore.Qt.AlignmentFlag.AlignVCenter, option.palette, True, self.text(),
                             self.palette().ColorRole.ButtonText)
        option.rect = QtCore.QRect(8, self.HEIGHT // 2 - 6, 12, 12)
        arrow = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(arrow.PE_IndicatorArrowDown if self.isChecked() else arrow.PE_IndicatorArrowRight, option)

    collapsed = Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))
    flat = stored(bool, "flat", False)
    contentsFrameShape = stored(int, "contentsFrameShape", 0)


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box that collapses when it is unchecked."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.toggled.connect(lambda shown: [child.setVisible(shown) for child in self.children()
                                            if isinstance(child, QtWidgets.QWidget)])

    collapsed = Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a history and a button that asks for one."""

    pathChanged = Signal(str)
    validChanged = Signal(bool)
    hostSignals = {"currentPathChanged(QString)": "pathChanged", "validInputChanged(bool)": "validChanged"}
    # QDir's filters
    hostFlags = {"Dirs": 1, "Files": 2, "Drives": 4, "NoSymLinks": 8, "Readable": 16, "Writable": 32, "Executable": 64,
                 "Hidden": 256, "System": 512, "NoDot": 0x2000, "NoDotDot": 0x4000, "NoDotAndDotDot": 0x6000}
    hostMethods = ("addCurrentPathToHistory", "browse", "retrieveHistory", "setCurrentPath", "comboBox")

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._combo, self._button = QtWidgets.QComboBox(self), QtWidgets.QToolButton(self)
        self._combo.setEditable(True)
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._button.setText("...")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        layout.addWidget(self._button)
        self.setFocusProxy(self._combo)
        self._combo.editTextChanged.connect(self.pathChanged)
        self._button.clicked.connect(lambda: self.browse())

    def comboBox(self):
        return self._combo

    def setCurrentPath(self, path: str) -> None:
        if path != self._combo.currentText():
            self._combo.setEditText(path)

    def addCurrentPathToHistory(self) -> None:
        if self._combo.currentText() and self._combo.findText(self._combo.currentText()) < 0:
            self._combo.insertItem(0, self._combo.currentText())

    def retrieveHistory(self) -> None:
        pass

    def browse(self) -> None:
        ask = QFileDialog.getExistingDirectory if not self.filters & 2 else (
            QFileDialog.getSaveFileName if self.filters & 0x20 else QFileDialog.getOpenFileName)
        chosen = ask(self, "", self._combo.currentText())
        if chosen:
            self.setCurrentPath(chosen)

    def _showButtons(self) -> None:
        self._button.setVisible(self.showBrowseButton)

    currentPath = Property(str, lambda self: self._combo.currentText(), setCurrentPath)
    filters = stored(int, "filters", 1)
    options = stored(int, "options", 0)
    nameFilters = stored("QStringList", "nameFilters", [])
    settingKey = stored(str, "settingKey", "")
    label = stored(str, "label", "")
    minimumContentsLength = stored(int, "minimumContentsLength", 0)
    sizeAdjustPolicy = stored(int, "sizeAdjustPolicy", 0)
    showBrowseButton = stored(bool, "showBrowseButton", True, "_showButtons")
    showHistoryButton = stored(bool, "showHistoryButton", True)


class ctkDirectoryButton(QtWidgets.QWidget):
    """A button with the name of a folder; a click asks for another."""

    changed = Signal(str)
    selected = Signal(str)
    hostSignals = {"directoryChanged(QString)": "changed", "directorySelected(QString)": "selected"}
    hostMethods = ("browse",)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._button, self._directory = QtWidgets.QPushButton(self), str(Path.cwd())
        self._button.clicked.connect(lambda: self.browse())
        QtWidgets.QHBoxLayout(self).addWidget(self._button)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self._write(self._directory)

    def _write(self, directory: str) -> None:
        before, self._directory = self._directory, str(Path(directory).absolute())
        self._button.setText(self._directory)
        if before != self._directory:
            self.changed.emit(self._directory)

    def browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.caption, self._directory)
        if chosen:
            self._write(chosen)
            self.selected.emit(self._directory)

    directory = Property(str, lambda self: self._directory, _write)
    text = Property(str, lambda self: self._button.text(), lambda self, text: self._button.setText(text))
    caption = stored(str, "caption", "")
    acceptMode = stored(int, "acceptMode", 0)
    options = stored(int, "options", 0)


class ctkDoubleSpinBox(QtWidgets.QWidget):
    """A spin box for fractions."""

    changed = Signal(float)
    finished = Signal()
    hostSignals = {"valueChanged(double)": "changed", "editingFinished()": "finished"}
    hostMethods = ("setDecimals", "setReadOnly", "setValue", "setValueAlways", "setValueIfDifferent", "stepDown", "stepUp")

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._spin = QtWidgets.QDoubleSpinBox(self)
        QtWidgets.QHBoxLayout(self).addWidget(self._spin)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.setFocusProxy(self._spin)
        self._spin.valueChanged.connect(self.changed)
        self._spin.editingFinished.connect(self.finished)

    def setValue(self, value: float) -> None:
        self._spin.setValue(value)

    setValueIfDifferent = setValueAlways = setValue

    def stepUp(self) -> None:
        self._spin.stepUp()

    def stepDown(self) -> None:
        self._spin.stepDown()

    def setDecimals(self, decimals: int) -> None:
        self._spin.setDecimals(decimals)

    def setReadOnly(self, value: bool) -> None:
        self._spin.setReadOnly(value)

    value = Property(float, lambda self: self._spin.value(), setValue)
    decimals = Property(int, lambda self: self._spin.decimals(), setDecimals)
    minimum = Property(float, lambda self: self._spin.minimum(), lambda self, value: self._spin.setMinimum(value))
    maximum = Property(float, lambda self: self._spin.maximum(), lambda self, value: self._spin.setMaximum(value))
    singleStep = Property(float, lambda self: self._spin.singleStep(), lambda self, value: self._spin.setSingleStep(value))
    suffix = Property(str, lambda self: self._spin.suffix(), lambda self, text: self._spin.setSuffix(text))
    prefix = Property(str, lambda self: self._spin.prefix(), lambda self, text: self._spin.setPrefix(text))


class ctkSliderWidget(ctkDoubleSpinBox):
    """A slider with a spin box."""

    hostSignals = {"valueChanged(double)": "changed"}
    hostMethods = ("reset", "setDecimals", "setSpinBoxVisible", "setValue")
    STEPS = 1000

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, self.STEPS)
        self.layout().insertWidget(0, self._slider, 1)
        self.setFocusProxy(self._slider)
        self._slider.sliderMoved.connect(lambda place: self._spin.setValue(
            self._spin.minimum() + place / self.STEPS * (self._spin.maximum() - self._spin.minimum())))
        self._spin.valueChanged.connect(self._follow)

    def _follow(self, value: float) -> None:
        width = self._spin.maximum() - self._spin.minimum()
        if not self._slider.isSliderDown():
            self._slider.setValue(round((value - self._spin.minimum()) / width * self.STEPS) if width else 0)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._spin.setVisible(visible)

    def reset(self) -> None:
        self._spin.setValue(0)

    pageStep = stored(float, "pageStep", 1.0)
    tracking = stored(bool, "tracking", True)
    spinBoxVisible = Property(bool, lambda self: not self._spin.isHidden(), setSpinBoxVisible)


class ctkComboBox(QtWidgets.QComboBox):
    """QComboBox with a text shown while nothing is chosen."""

    defaultText = stored(str, "defaultText", "")


class ctkCheckBox(QtWidgets.QCheckBox):
    """QCheckBox."""


class ctkCheckablePushButton(QtWidgets.QPushButton):
    """A push button with a tick box of its own."""

    checkBoxControlsButtonToggleState = stored(bool, "checkBoxControlsButtonToggleState", True)


class ctkMessageBox(QMessageBox):
    """QMessageBox with "do not show again"."""

    hostMethods = ("setDontShowAgain", "addDontShowAgainButtonRole")

    def setDontShowAgain(self, value: bool) -> None:
        self.__dict__["stored_dontShowAgain"] = value

    dontShowAgain = stored(bool, "dontShowAgain", False)
    dontShowAgainVisible = stored(bool, "dontShowAgainVisible", False)
    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "")


CLASSES = {name: value for name, value in list(globals().items()) if name.startswith("ctk")}
widgetClasses.update(CLASSES)
