"""Model folders: the names that other parts of the engine use.

:func:`load_bundle` verifies a folder and returns a :class:`ModelBundle`; :func:`save_bundle` makes such a folder from a
trained network; :func:`update_bundle` changes what a model says about itself, for example its scores.
"""

from __future__ import annotations

from agunetr.models.loading import ModelBundle, load_bundle
from agunetr.models.metadata import ModelDescription
from agunetr.models.saving import save_bundle, update_bundle

__all__ = ["ModelBundle", "ModelDescription", "load_bundle", "save_bundle", "update_bundle"]
