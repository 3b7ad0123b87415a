"""A scene on the bare Slicer core (the package ``slicer-core``), without the application.

The application registers node classes, colours and module logics when it starts; here that is done by hand.
"""

from __future__ import annotations

import types
from collections.abc import Mapping

import slicer

MODULE_LOGICS = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
}


def newScene(moreLogics: Mapping[str, str] = types.MappingProxyType({})):
    """Make a scene with default colours and the logics that the Slicer side needs, and set it as ``slicer.mrmlScene``.

    :param moreLogics: class names of further logics by their modules' names.
    :returns: the ``vtkMRMLScene``; it keeps its logics alive, in ``keptAlive``, the application's first.
    """
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    scene.keptAlive = [application]
    application.SetMRMLScene(scene)
    colours = application.GetColorLogic()
    colours.SetMRMLScene(scene)
    colours.AddDefaultColorNodes()
    application.SetModuleLogic("Colors", colours)  # the volumes logic asks it for a volume's default colours
    modules = types.SimpleNamespace()
    for name, className in {**MODULE_LOGICS, **moreLogics}.items():
        logic = getattr(slicer, className)()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        setattr(modules, name.lower(), types.SimpleNamespace(logic=lambda logic=logic: logic))
        scene.keptAlive.append(logic)
    slicer.mrmlScene, slicer.modules = scene, modules
    return scene
