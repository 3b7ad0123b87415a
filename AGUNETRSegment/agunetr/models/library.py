"""The models of a machine: those that came with AGUNETR and those of the user."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import agunetr
from agunetr.errors import AgunetrError, ModelError
from agunetr.models.archive import REMEDY, copy_in
from agunetr.models.loading import ModelBundle, load_bundle
from agunetr.models.metadata import LOCALISER, METADATA

FOLDER_VARIABLE = "AGUNETR_MODELS"


@dataclass(frozen=True)
class _Contents:
    models: tuple[ModelBundle, ...]
    broken: tuple[tuple[Path, str], ...]


def embedded_folder() -> Path:
    """Where the models that came with AGUNETR lie: in the installed package, or in the module's resources."""
    package = Path(agunetr.__file__).resolve().parent
    packaged = package / "embedded"
    return packaged if packaged.is_dir() else package.parent / "Resources" / "Models"


def default_user_folder() -> Path:
    """Where the user's models lie: ``AGUNETR_MODELS``, or the platform's folder for application data."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        return base / "AGUNETR" / "models"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "AGUNETR" / "models"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "agunetr" / "models"


class ModelLibrary:
    """Lists, finds, imports and removes models. It looks at the disk at every call, so it is never out of date.

    Args:
        user_folder: the user's models; :func:`default_user_folder` where None. Made at the first import.
        embedded: the models that came with AGUNETR; :func:`embedded_folder` where None.
    """

    def __init__(self, user_folder: Path | str | None = None, embedded: Path | str | None = None) -> None:
        self.user_folder = Path(user_folder) if user_folder is not None else default_user_folder()
        self.embedded = Path(embedded) if embedded is not None else embedded_folder()

    def list(self) -> list[ModelBundle]:
        """The usable models: the embedded ones, then the user's, each by name."""
        return [*self._read().models]

    def broken(self) -> list[tuple[Path, str]]:
        """The folders that hold no usable model, each with a sentence that says why."""
        return [*self._read().broken]

    def find(self, name: str | Path) -> ModelBundle:
        """A model by its name, or by the path of its folder.

        Raises:
            ModelError: there is none, or it is broken; the remedy names what there is.
        """
        contents = self._read()
        for model in contents.models:
            if model.name == str(name):
                return model
        for folder, reason in contents.broken:
            if folder.name == str(name):
                raise ModelError(reason, "Remove it and import it again.")
        if Path(name).is_dir() or len(Path(name).parts) > 1:
            return _segmenting(load_bundle(name))
        names = [model.name for model in contents.models]
        near = difflib.get_close_matches(str(name), names, n=1)
        remedy = f"Did you mean {near[0]}? " if near else ""
        remedy += f"There are: {', '.join(names)}." if names else "No model is installed; import one first."
        raise ModelError(f"There is no model named {str(name)!r}.", remedy)

    def import_model(self, source: Path | str) -> ModelBundle:
        """Copies a model from a folder or zip into the user's folder, verified down to its network.

        Raises:
            ModelError: the source is no model, is damaged or unsafe, or a model of that name exists; the library is
                as it was.
        """
        source = Path(source)
        try:
            self.user_folder.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".import-", dir=self.user_folder))
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            incoming = staging / "model"
            incoming.mkdir()
            copy_in(source, incoming)
            model = self._verified(incoming, source)
            target = self.user_folder / model.name
            self._refuse_taken(model, target)
            os.rename(incoming, target)
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return load_bundle(target)

    def remove(self, name: str) -> None:
        """Deletes one of the user's models, broken ones included.

        Raises:
            ModelError: there is none of that name, it came with AGUNETR, or its files cannot be deleted.
        """
        contents = self._read()
        user_folders = {model.name: model.folder for model in contents.models if not model.embedded}
        user_folders |= {folder.name: folder for folder, _ in contents.broken if folder.parent == self.user_folder}
        folder = user_folders.get(name)
        if folder is None:
            if any(model.name == name for model in contents.models):
                raise ModelError(
                    f"The model {name} came with AGUNETR and cannot be removed.", "Simply do not choose it."
                )
            names = ", ".join(sorted(user_folders)) or "none"
            raise ModelError(f"There is no imported model named {name!r}.", f"Imported models: {names}.")
        try:
            if folder.is_symlink():
                folder.unlink()
                return
            # Out of sight in one step, so that nobody meets a model that is half gone.
            trash = Path(tempfile.mkdtemp(prefix=".removed-", dir=self.user_folder))
            os.rename(folder, trash / "model")
        except OSError as error:
            reason = f"The model {name} cannot be removed ({error.strerror})."
            raise ModelError(reason, "Close what uses it and try again.") from error
        shutil.rmtree(trash, ignore_errors=True)

    def _read(self) -> _Contents:
        models: dict[str, ModelBundle] = {}
        broken: list[tuple[Path, str]] = []
        for root, embedded in ((self.embedded, True), (self.user_folder, False)):
            for folder in _subfolders(root):
                try:
                    model = _segmenting(load_bundle(folder, embedded))
                except AgunetrError as error:
                    broken.append((folder, error.message))
                    continue
                if (first := models.get(model.name.casefold())) is not None:
                    broken.append((folder, f"{folder} has the name {model.name!r}, which {first.folder} has already."))
                else:
                    models[model.name.casefold()] = model
        ordered = sorted(models.values(), key=lambda model: (not model.embedded, model.name.casefold()))
        return _Contents(tuple(ordered), tuple(broken))

    def _verified(self, folder: Path, source: Path) -> ModelBundle:
        """The model in ``folder`` with its network built once; errors name ``source``, where the user put it."""
        try:
            model = _segmenting(load_bundle(folder))
            for path in folder.rglob("*"):
                relative = path.relative_to(folder).as_posix()
                if path.is_file() and relative not in (METADATA, *model.description.sha256):
                    raise ModelError(f"{source} cannot be imported: {relative} has no checksum.", REMEDY)
            model.network()
        except ModelError as error:
            raise ModelError(error.message.replace(str(folder), str(source)), error.remedy) from error
        return model

    def _refuse_taken(self, model: ModelBundle, target: Path) -> None:
        for other in self._read().models:
            if other.name.casefold() == model.name.casefold():
                if other.checksum == model.checksum:
                    raise ModelError(f"The model {model.name} is there already.", "Nothing needs to be done.")
                remedy = "Export the new one under another name"
                remedy += "." if other.embedded else f", or remove the old one: agunetr models remove {other.name}."
                raise ModelError(f"There is already a model named {other.name}, with other weights.", remedy)
        if target.exists() or target.is_symlink():
            raise ModelError(f"{target} exists already and holds something else.", "Move it away and import again.")

    def _unwritable(self, error: OSError) -> ModelError:
        reason = error.strerror or str(error)
        return ModelError(
            f"Models cannot be stored in {self.user_folder} ({reason}).",
            f"Free some space or make it writable, or name another folder in {FOLDER_VARIABLE}.",
        )


def _segmenting(model: ModelBundle) -> ModelBundle:
    """The model itself; refuses one whose masks are not meant to be used."""
    if model.role == LOCALISER:
        raise ModelError(
            f"{model.folder} is a localiser, which finds the organ for other models and gives no mask of its own.",
            "Choose a model that segments.",
        )
    return model


def _subfolders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    except OSError:
        return []  # no such folder yet: no models
