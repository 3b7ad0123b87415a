"""Model folders that somebody changed: by accident, by mistake or to harm."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from agunetr.errors import ModelError
from agunetr.models.bundle import load_bundle

WEIGHTS = "models/model.safetensors"


class Mine:
    """Leaves a trace where somebody unpickles it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.trace),)


def change_metadata(folder: Path, change) -> None:
    path = folder / "configs/metadata.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values["agunetr"])
    path.write_text(json.dumps(values), encoding="utf-8")


def replace_weights(folder: Path, data: bytes) -> None:
    """Other weights with the right checksum, as somebody who means harm or mixes up files would leave them."""
    (folder / WEIGHTS).write_bytes(data)
    change_metadata(folder, lambda section: section["sha256"].update({WEIGHTS: hashlib.sha256(data).hexdigest()}))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_bundle(folder).network()
    message = caught.value.message
    assert message.endswith(".") and "\n" not in message and caught.value.remedy
    return message
