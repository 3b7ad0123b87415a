"""Notices that nodes came or went, once a turn of the event loop however many they were."""

from __future__ import annotations

from collections.abc import Callable

import slicer


class SceneWatch:
    """Calls a function after nodes were added to a scene or removed from it.

    :param scene: the MRML scene.
    :param changed: called later, without arguments, from the event loop.
    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once (``qt.QTimer.singleShot``).
    """

    def __init__(
        self, scene, changed: Callable[[], None], schedule: Callable[[int, Callable[[], None]], object]
    ) -> None:
        self._scene, self._changed, self._schedule = scene, changed, schedule
        self._isDue = False
        events = (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent)
        self._tags = [scene.AddObserver(event, self._onEvent) for event in events]

    def close(self) -> None:
        """Stop watching; what is due is not called any more."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []

    def _onEvent(self, _caller, _event) -> None:
        if not self._isDue:
            self._isDue = True
            self._schedule(0, self._fire)

    def _fire(self) -> None:
        self._isDue = False
        if self._tags:
            self._changed()
