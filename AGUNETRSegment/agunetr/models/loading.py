"""A model as a folder in MONAI Bundle layout: verifying and loading it.

::

    compact-base/
      configs/metadata.json        what the model is, with the SHA-256 sums of all other files
      configs/inference.json       for ``python -m monai.bundle run``; never read by this project
      models/model.safetensors     the weights
      models/model.pt              the same weights for other programs, only where asked; never read by this project
      docs/README.md               the model card

Loading executes nothing from the folder: the metadata is read as plain JSON, the weights as safetensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agunetr.errors import ModelError
from agunetr.models import metadata, weights
from agunetr.models.metadata import ModelDescription
from agunetr.networks.variants import NetworkConfig

if TYPE_CHECKING:
    from agunetr.networks.unetr import GatedUNETR

IMPORT_AGAIN = "Import or copy the model again from where it came."


@dataclass(frozen=True)
class ModelBundle:
    """A model on disk whose files were verified; :func:`load_bundle` makes one.

    Attributes:
        folder: where it lies.
        description: its metadata.
        checksum: SHA-256 of the weights, hex.
        size_bytes: of all its files.
        embedded: whether it came with AGUNETR (and so cannot be removed).
    """

    folder: Path
    description: ModelDescription = field(compare=False, repr=False)
    checksum: str
    size_bytes: int
    embedded: bool = False

    @property
    def name(self) -> str:
        """Short name for files and commands."""
        return self.description.name

    @property
    def title(self) -> str:
        """One line for people."""
        return self.description.title

    @property
    def variant(self) -> str:
        """``unetr``, ``agunetr-v1``, ``agunetr-v2`` or ``agunetr-deep``."""
        return self.description.network.variant

    @property
    def network_config(self) -> NetworkConfig:
        """Everything that fixes the network's shape."""
        return self.description.network

    @property
    def window(self) -> tuple[int, int, int]:
        """Voxels of the network's input along (R, A, S)."""
        return self.description.network.window

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing along (R, A, S) that a CT is resampled to, mm."""
        return self.description.spacing_mm

    @property
    def intensity_range(self) -> tuple[float, float]:
        """HU that are mapped to 0 and 1."""
        return self.description.intensity_range

    @property
    def gate_names(self) -> tuple[str, ...]:
        """The skips that carry a gate, from fine to coarse; empty for the base network."""
        return tuple(self.description.network.gates or ())

    @property
    def role(self) -> str:
        """``segmentation``, or ``localiser`` for a network that finds the organ for the models that segment it."""
        return self.description.role

    @property
    def licence(self) -> str:
        """Licence of the weights."""
        return self.description.licence

    @property
    def scores(self) -> Mapping[str, Any]:
        """Measures on patients kept out of training."""
        return self.description.scores

    @property
    def card_path(self) -> Path:
        """The model card, Markdown."""
        return self.folder / metadata.CARD

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready summary for lists of models."""
        described = self.description.to_dict()
        keys = ("title", "spacing_mm", "intensity_range", "window", "training_data", "recipe", "limits", "scores")
        return {
            "name": self.name,
            "variant": self.variant,
            "gates": list(self.gate_names),
            **{key: described[key] for key in keys},
            "licence": self.licence,
            "mean_dice": metadata.mean_dice(self.scores),
            "checksum": self.checksum,
            "size_bytes": self.size_bytes,
            "embedded": self.embedded,
            "folder": str(self.folder),
        }

    def network(self) -> GatedUNETR:
        """The network with its weights: float32, on the CPU, in evaluation mode.

        The weights are verified once more, on the very bytes that are then used.

        Raises:
            ModelError: the weights changed since the model was loaded, or do not fit the network.
        """
        from agunetr.networks.checkpoints import load_weights
        from agunetr.networks.variants import build_unfilled

        try:
            data = (self.folder / metadata.WEIGHTS).read_bytes()
            if hashlib.sha256(data).hexdigest() != self.checksum:
                raise ValueError("has a wrong checksum: the file was changed or damaged")
            state = weights.decode(data)
            del data  # as large as the network
        except (OSError, ValueError) as error:
            problem = f"The model {self.name} cannot be used: {metadata.WEIGHTS} {_reason(error)}."
            raise ModelError(problem, IMPORT_AGAIN) from error
        network = build_unfilled(self.network_config)
        expected = network.state_dict().keys()
        if different := sorted(expected ^ state.keys()):
            verb = "lacks" if different[0] in expected else "has an unknown weight,"
            problem = f"The model {self.name} holds another network's weights: it {verb} {different[0]}."
            raise ModelError(problem, IMPORT_AGAIN)
        load_weights(network, state, source=f"The model {self.name}", adopt=True)
        if unfilled := [name for name, value in network.named_parameters() if value.is_meta]:
            problem = f"The model {self.name} holds another network's weights: {unfilled[0]} has another shape."
            raise ModelError(problem, IMPORT_AGAIN)
        return network.eval()


def load_bundle(folder: Path | str, embedded: bool = False) -> ModelBundle:
    """Reads a model folder and verifies every file in it; builds no network and does not need torch.

    Raises:
        ModelError: it is no model, a file is missing or has a wrong checksum, the weights are pickled, belong to
            another network or are damaged, or the metadata is wrong.
    """
    folder = Path(folder)
    problem = f"{folder} is no model that AGUNETR can use:"
    if not folder.is_dir():
        kind = "it does not exist" if not folder.exists() else "it is a file; import an archive first"
        raise ModelError(f"{problem} {kind}.", "Name a model folder, or a model of `agunetr models list`.")
    if not (folder / metadata.METADATA).is_file():
        pickled = (folder / metadata.TORCH_WEIGHTS).is_file() or any(folder.glob("*.pt*"))
        extra = " and only has pickled weights, which AGUNETR never opens" if pickled else ""
        raise ModelError(f"{problem} it has no {metadata.METADATA}{extra}.", "Use a model that AGUNETR exported.")
    try:
        description = metadata.read_metadata(folder / metadata.METADATA)
        _verify(folder, description)
        size = sum((folder / path).stat().st_size for path in (metadata.METADATA, *description.sha256))
    except (OSError, ValueError) as error:
        raise ModelError(f"{problem} {_reason(error)}.", IMPORT_AGAIN) from error
    return ModelBundle(folder, description, description.sha256[metadata.WEIGHTS], size, embedded)


def _verify(folder: Path, description: ModelDescription) -> None:
    """Checks presence and checksum of every file, and that the weights are those of the network."""
    for path in metadata.REQUIRED_FILES:
        if path not in description.sha256:
            raise ValueError(f"{metadata.METADATA} has no checksum of {path}")
    for path in description.sha256:
        if not (folder / path).is_file():
            raise ValueError(f"{path} is missing")
    try:
        # Before the checksum: "pickled" and "another network" say more than "changed".
        weights.check_fits(weights.read_shapes(folder / metadata.WEIGHTS), description.network)
    except ValueError as error:
        raise ValueError(f"{metadata.WEIGHTS} {error}") from error
    for path, digest in description.sha256.items():
        state = (folder / path).stat()
        if _digest(folder / path, state.st_size, state.st_mtime_ns, state.st_ino) != digest:
            raise ValueError(f"{path} has a wrong checksum: the file was changed or damaged")


@lru_cache(maxsize=512)
def _digest(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    # Listing models again and again must not read gigabytes again; a changed file has another key.
    return weights.sha256_of(path)


def _reason(error: OSError | ValueError) -> str:
    text = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
    return text.rstrip(".")
