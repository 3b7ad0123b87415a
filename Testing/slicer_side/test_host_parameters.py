"""The host's parameter nodes keep their values in the scene and follow the widgets, as the application's do."""

from __future__ import annotations

import enum
import pathlib
import sys
import textwrap
import types
from typing import Annotated

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import slicer
import slicer.util


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


CLASSES = """
@parameterPack
class Inner:
    depth: int = 3

@parameterPack
class Options:
    overlap: Annotated[int, WithinRange(0, 90)] = 50
    colour: Colour = Colour.BLUE
    inner: Inner

@parameterNodeWrapper
class Parameters:
    volume: slicer.vtkMRMLScalarVolumeNode
    count: int = 7
    share: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    device: Annotated[str, Choice(["cpu", "cuda"])] = "cpu"
    note: str
    ready: bool = True
    models: list[str]
    options: Options
"""


@pytest.fixture
def app():
    with host.application() as running:
        yield running


@pytest.fixture
def parameters(app):
    import slicer.parameterNodeWrapper as wrapper

    # The class in a module of its own: typing looks for names there.
    module = types.ModuleType("parameters_of_the_test")
    sys.modules[module.__name__] = module
    vars(module).update({name: getattr(wrapper, name) for name in wrapper.__all__})
    vars(module).update(Annotated=Annotated, Colour=Colour, slicer=slicer)
    exec(textwrap.dedent(CLASSES), vars(module))
    yield module.Parameters
    del sys.modules[module.__name__]


def newNode():
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def test_defaults_are_written_and_read(parameters):
    node = newNode()
    values = parameters(node)
    assert (values.volume, values.count, values.share, values.device, values.note) == (None, 7, 0.5, "cpu", "")
    assert values.ready and values.models == []
    assert values.options.colour is Colour.BLUE and values.options.inner.depth == 3
    assert node.GetParameter("count") == "7" and node.GetParameter("options.colour") == "BLUE"


def test_values_are_kept_in_the_node_alone(parameters):
    node = newNode()
    values, volume = parameters(node), slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    values.volume, values.count, values.models = volume, 9, ["a", "b", "d"]
    values.models = ["a", "b"]
    with pytest.raises(TypeError):
        values.models.append("c")
    values.options.overlap = 25
    values.options.inner.depth = 5
    values.setValue("options.colour", Colour.RED)
    again = parameters(node)
    assert again.volume is volume and (again.count, again.models) == (9, ["a", "b"])
    assert again.getValue("options.overlap") == 25 and again.options.inner.depth == 5
    assert again.options.colour is Colour.RED
    slicer.mrmlScene.RemoveNode(volume)
    assert again.volume is None


def test_values_that_the_annotations_forbid_are_refused(parameters):
    values = parameters(newNode())
    for name, value in (("share", 2.0), ("device", "tpu"), ("count", "many"), ("count", None), ("note", 3),
                        ("models", [1]), ("options.overlap", 91), ("volume", values.parameterNode)):
        with pytest.raises((TypeError, ValueError)):
            values.setValue(name, value)
    with pytest.raises(ValueError):
        values.getValue("options.nothing")
    with pytest.raises(AttributeError):
        values.options.nothing = 1


def test_one_change_is_told_once_and_a_batch_at_its_end(parameters):
    values, told = parameters(newNode()), []
    values.AddObserver("ModifiedEvent", lambda *_: told.append(values.count))
    values.count = 1
    with slicer.util.NodeModify(values):
        values.count = 2
        values.ready = False
    assert told == [1, 2]


@pytest.mark.parametrize("kind", [complex, pathlib.Path, int | None])
def test_an_unknown_type_is_refused(app, kind):
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    class Wrong:
        value: kind

    Wrong.__annotations__["value"] = kind
    with pytest.raises(TypeError):
        parameterNodeWrapper(Wrong)


def test_a_closed_scene_gives_defaults(parameters):
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetSingletonTag("Test")
    node = slicer.mrmlScene.AddNode(node)
    parameters(node).options.overlap = 10
    slicer.mrmlScene.Clear(0)
    assert parameters(node).options.overlap == 50


def test_a_saved_scene_brings_the_values_back(parameters, tmp_path):
    values = parameters(newNode())
    values.models, values.options.overlap = ["a"], 30
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear(0)
    slicer.mrmlScene.Import()
    again = parameters(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode"))
    assert (again.models, again.options.overlap) == (["a"], 30)


def panel():
    import qt

    widget = qt.QWidget()
    layout = qt.QVBoxLayout(widget)
    made = {}
    for name, cls in (("volume", slicer.qMRMLNodeComboBox), ("count", qt.QSpinBox), ("share", qt.QDoubleSpinBox),
                      ("device", qt.QComboBox), ("note", qt.QLineEdit), ("ready", qt.QCheckBox),
                      ("options.colour", qt.QComboBox), ("options.overlap", qt.QSlider)):
        made[name] = cls()
        made[name].setProperty("SlicerParameterName", name)
        layout.addWidget(made[name])
    made["volume"].setMRMLScene(slicer.mrmlScene)
    widget.show()
    return widget, made


def test_widgets_and_values_follow_each_other(parameters):
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    values, (_widget, made) = parameters(newNode()), panel()
    made["volume"].noneEnabled = True
    tag = values.connectGui(types.SimpleNamespace(**made))
    host.choose(made["volume"], "CT")
    host.type_(made["count"], "12")
    host.type_(made["note"], "hello")
    host.click(made["ready"])
    host.choose(made["device"], "cuda")
    host.choose(made["options.colour"], "RED")
    assert (values.volume, values.count, values.note, values.ready) == (volume, 12, "hello", False)
    assert (values.device, values.options.colour) == ("cuda", Colour.RED)
    values.options.overlap = 90
    values.share = 0.25
    assert made["options.overlap"].value == 90 == made["options.overlap"].maximum
    assert (made["share"].value, made["share"].maximum) == (0.25, 1.0)
    values.disconnectGui(tag)
    host.type_(made["count"], "3")
    values.note = "other"
    assert values.count == 12 and made["note"].text == "hello"


def test_pairs_that_the_application_cannot_connect_are_refused(parameters):
    import qt

    values = parameters(newNode())
    for name, widget in (("note", qt.QComboBox()), ("count", qt.QLineEdit()), ("count", qt.QSlider()),
                         ("models", qt.QListWidget()), ("options", qt.QLineEdit())):
        widget.setProperty("SlicerParameterName", name)
        with pytest.raises(RuntimeError):
            values.connectGui(types.SimpleNamespace(widget=widget))
