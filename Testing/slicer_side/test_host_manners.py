"""The host is as strict as PythonQt: what the real application refuses is refused here, and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import slicer
import slicer.util
import vtk

API = Path(__file__).resolve().parents[3] / "shared" / "slicer_api" / "slicer_api.json"


@pytest.fixture
def app():
    with host.application() as running:
        yield running


@pytest.fixture
def qt(app):
    import qt

    return qt


def test_properties_are_values(qt):
    button = qt.QPushButton("Segment")
    button.text = "Cancel"
    button.enabled = False
    assert (button.text, button.enabled, button.objectName, button.name) == ("Cancel", False, "", "")
    button.name = "segmentButton"
    assert button.objectName == "segmentButton"
    with pytest.raises(TypeError):
        button.text()


def test_unknown_names_are_refused(qt):
    label = qt.QLabel()
    with pytest.raises(AttributeError):
        label.txt = "misspelt"
    with pytest.raises(AttributeError):
        label.setTexts("misspelt")
    with pytest.raises(AttributeError):
        label.setText = "no property"
    with pytest.raises(AttributeError):
        qt.QTableWidgetItem().anything = 1
    with pytest.raises(AttributeError):
        _ = qt.QNotThere


@pytest.mark.parametrize("name", ["Signal", "Slot", "Property"])
def test_names_that_only_pyside_has_are_refused(qt, name):
    with pytest.raises(AttributeError):
        getattr(qt, name)
    with pytest.raises(AttributeError):
        getattr(qt.QObject(), name)


def test_values_of_the_wrong_type_are_refused(qt):
    with pytest.raises(TypeError):
        qt.QLabel().text = 3
    with pytest.raises(TypeError):
        qt.QSpinBox().value = "3"
    with pytest.raises(AttributeError):
        qt.QComboBox().count = 3  # read-only


def test_signals_are_known_by_their_signature(qt):
    button, heard = qt.QPushButton(), []
    button.checkable = True
    assert button.connect("clicked(bool)", heard.append)
    assert button.clicked.connect(lambda: heard.append("as attribute"))
    button.click()
    assert heard == [True, "as attribute"]
    assert button.disconnect("clicked(bool)", heard.append)
    button.click()
    assert heard[2:] == ["as attribute"]
    for unknown in ("clicked", "pushed()", "clicked(int)"):
        with pytest.raises(AttributeError):
            button.connect(unknown, heard.append)


def test_a_slot_gets_as_many_arguments_as_it_takes(qt):
    box, heard = qt.QSpinBox(), []
    box.connect("valueChanged(int)", lambda: heard.append("none"))
    box.connect("valueChanged(int)", lambda value: heard.append(value))
    box.connect("valueChanged(int)", lambda *values: heard.append(values))
    box.value = 5
    assert heard == ["none", 5, (5,)]


def test_python_functions_go_to_signals_alone(qt):
    with pytest.raises(TypeError):
        qt.QMenu().addAction("Open", lambda: None)
    with pytest.raises(TypeError):
        qt.QPushButton("text", objectName="keyword")


def test_children_are_found_by_name(qt):
    parent = qt.QWidget()
    layout = qt.QVBoxLayout(parent)
    button = qt.QPushButton("inner")
    button.objectName = "inner"
    layout.addWidget(button)
    assert slicer.util.findChildren(parent, "inner") == [button]
    assert isinstance(button, qt.QWidget) and type(button) is qt.QPushButton
    assert button.parent() is parent


def test_a_python_subclass_has_attributes_and_no_event_filter(app, qt):
    class Named(qt.QObject):
        pass

    class Filter(qt.QObject):
        def eventFilter(self, watched, event):
            return False

    named = Named()
    named.anything = 1
    assert named.anything == 1
    with pytest.raises(NotImplementedError):
        Filter()


def test_static_dialogs_give_text_as_pythonqt_does(app, qt):
    host.answer("/tmp/result.csv")
    assert qt.QFileDialog.getSaveFileName(None, "Save", "", "*.csv") == "/tmp/result.csv"
    assert app.dialogs == [("Save", "")]


def test_message_boxes_are_answered(app):
    host.answer("Yes", "Cancel")
    assert slicer.util.confirmYesNoDisplay("Install?")
    assert not slicer.util.confirmOkCancelDisplay("Really?")
    assert [text for _title, text in app.dialogs] == ["Install?", "Really?"]


def test_a_dialog_that_nobody_expects_fails_the_test():
    with pytest.raises(host.HostFailure, match="no test expected.*Boom"), host.application():
        slicer.util.errorDisplay("Boom")


def test_an_exception_in_a_slot_fails_the_test():
    with pytest.raises(host.HostFailure, match="ZeroDivisionError"), host.application():
        import qt

        button = qt.QPushButton()
        button.connect("clicked()", lambda: 1 / 0)
        button.click()


def test_an_exception_in_an_observer_fails_the_test():
    with pytest.raises(host.HostFailure, match="ZeroDivisionError"), host.application():
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: 1 / 0)
        node.SetName("other")


def test_no_module_of_the_application_is_left_when_it_closed():
    with host.application():
        pass
    with pytest.raises(ImportError):
        __import__("qt")
    assert not hasattr(slicer, "app")


def test_ui_files_with_faults_are_refused(app, tmp_path):
    template = """<ui version="4.0"><class>X</class><widget class="qMRMLWidget" name="X"><layout class="QVBoxLayout">
    <item><widget class="{cls}" name="inner"><property name="{name}"><bool>true</bool></property></widget></item>
    </layout></widget><connections><connection><sender>X</sender><signal>{signal}</signal><receiver>inner</receiver>
    <slot>{slot}</slot></connection></connections></ui>"""
    good = {"cls": "qMRMLNodeComboBox", "name": "noneEnabled", "signal": "mrmlSceneChanged(vtkMRMLScene*)",
            "slot": "setMRMLScene(vtkMRMLScene*)"}
    file = tmp_path / "panel.ui"
    file.write_text(template.format(**good))
    widget = slicer.util.loadUI(str(file))
    widget.setMRMLScene(slicer.mrmlScene)
    assert slicer.util.childWidgetVariables(widget).inner.mrmlScene() is slicer.mrmlScene
    for wrong in ({"cls": "qMRMLNothing"}, {"name": "nonEnabled"}, {"signal": "sceneChanged()"},
                  {"slot": "setScene()"}):
        file.write_text(template.format(**{**good, **wrong}))
        with pytest.raises((RuntimeError, AttributeError)):
            slicer.util.loadUI(str(file))


def test_every_name_of_the_hosts_own_widgets_is_the_applications(app):
    """The host offers less than the application, and nothing that the application has not."""
    if not API.is_file():
        pytest.skip("the list of the application's names is not there")
    import ctk

    classes = json.loads(API.read_text(encoding="utf-8"))["classes"]

    def offered(name):
        entry, names = classes.get(name), set()
        if entry:
            names.update(entry["properties"], entry["slots"], entry["invokables"],
                         [signal.partition("(")[0] for signal in entry["signals"]])
            for base in entry["bases"]:
                names |= offered(base)
        return names

    wrong = []
    for name, cls in {**vars(ctk), **vars(slicer)}.items():
        if not name.startswith(("ctk", "qMRML", "qSlicer")):
            continue
        native = cls.native
        names = set(getattr(native, "hostMethods", ())) | {
            text.partition("(")[0] for text in getattr(native, "hostSignals", {})}
        names |= {key for base in native.__mro__ if base.__module__.startswith("host")
                  for key, value in vars(base).items() if type(value).__name__ == "Property"}
        wrong += [f"{name}.{entry}" for entry in names - offered(name) - {"translate", "viewport"}]
    assert not wrong
