"""The weights of a model: safetensors in and out, checked before anything is built from them.

A safetensors file is eight bytes with the length of a JSON header, the header (name, type, shape and place of every
tensor) and the raw numbers. Reading one cannot run code. A pickled checkpoint can, so one is recognised by its
first bytes and refused unopened.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agunetr.errors import ModelError
from agunetr.networks.variants import NetworkConfig

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER_BYTES = 16 << 20
MAX_WEIGHT_BYTES = 2 << 30
FLOAT_TYPES = ("F16", "BF16", "F32")
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_LAYER = re.compile(r"vit\.blocks\.(\d+)\.mlp\.linear1\.weight")
_GATE = re.compile(r"gates\.([^.]+)\.")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def looks_pickled(path: Path) -> bool:
    """Whether the file starts like ``torch.save`` or ``pickle`` output."""
    with path.open("rb") as file:
        return file.read(4).startswith(_PICKLE_STARTS)


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor, from the header alone.

    Raises:
        ValueError: the file is pickled, truncated or otherwise no safetensors file, or holds other numbers than
            16- or 32-bit floats; the message says which, without a final stop.
    """
    size = path.stat().st_size
    if looks_pickled(path):
        raise ValueError("is a pickled checkpoint, which could run code; it was not opened")
    if size > MAX_WEIGHT_BYTES:
        raise ValueError(f"is larger than {MAX_WEIGHT_BYTES >> 30} GB")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise ValueError("is no safetensors file or is truncated")
        raw = file.read(length)
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        types = {entry["dtype"] for entry in header.values()}
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError("is no safetensors file or is damaged") from error
    if end != size - 8 - length:
        raise ValueError("is truncated or has something appended")
    if not types <= set(FLOAT_TYPES):
        other = sorted(map(str, types - set(FLOAT_TYPES)))[0]
        raise ValueError(f"holds {other} numbers instead of 16- or 32-bit floats")
    return shapes


def check_fits(shapes: Mapping[str, tuple[int, ...]], config: NetworkConfig) -> None:
    """A quick comparison of tensor shapes with a configuration, without torch; building the network is the full one.

    Raises:
        ValueError: the tensors belong to another network; the message names the first difference, without a final stop.
    """
    patches = config.window[0] * config.window[1] * config.window[2] // 16**3
    expected = {
        "vit.patch_embedding.position_embeddings": (1, patches, config.hidden_size),
        "vit.blocks.0.mlp.linear1.weight": (config.mlp_dim, config.hidden_size),
        "encoder1.layer.conv1.conv.weight": (config.feature_size, config.in_channels, 3, 3, 3),
        "out.conv.conv.weight": (config.out_channels, config.feature_size, 1, 1, 1),
    }
    for name, shape in expected.items():
        if shapes.get(name) != shape:
            found = "is missing" if name not in shapes else f"has shape {shapes[name]}"
            raise ValueError(f"belongs to another network: {name} {found} instead of {shape}")
    layers = len({match[1] for name in shapes if (match := _LAYER.fullmatch(name))})
    if layers != config.layers:
        raise ValueError(f"belongs to another network: it has {layers} layers instead of {config.layers}")
    gates = {match[1] for name in shapes if (match := _GATE.match(name))}
    if gates != set(config.gates or ()):
        names = "gates at " + ", ".join(sorted(gates)) if gates else "no gates"
        wanted = ", ".join(config.gates or ()) or "none"
        raise ValueError(f"belongs to another network: it has {names}, the configuration names {wanted}")


def encode(state_dict: Mapping[str, Tensor], half: bool) -> bytes:
    """Weights as the bytes of a safetensors file, in float16 or float32.

    Raises:
        ModelError: a weight is not finite, or too large for float16.
    """
    import safetensors.torch
    import torch

    kind = torch.float16 if half else torch.float32
    tensors = {name: value.detach().to("cpu", kind).contiguous().clone() for name, value in state_dict.items()}
    for name, stored in tensors.items():
        if not torch.isfinite(state_dict[name]).all():
            raise ModelError(f"The weight {name} is not finite.", "Save an earlier checkpoint, or train again.")
        if not torch.isfinite(stored).all():
            raise ModelError(f"The weight {name} is too large for 16 bits.", "Save with half=False.")
    return safetensors.torch.save(tensors, metadata={"format": "pt"})


def decode(data: bytes) -> dict[str, Tensor]:
    """The weights of a safetensors file as float32 on the CPU.

    Raises:
        ValueError: the bytes are no safetensors file or hold a number that is not finite; without a final stop.
    """
    import safetensors
    import safetensors.torch
    import torch

    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError("is no safetensors file or is damaged") from error
    weights = {}
    for name in list(tensors):
        # One after the other goes, so that both forms of a large network are never there together.
        weights[name] = tensors.pop(name).to(torch.float32, copy=True)
        if not torch.isfinite(weights[name]).all():
            raise ValueError(f"holds a number that is not finite, in {name}")
    return weights


def as_torch_file(data: bytes) -> bytes:
    """The same weights as ``torch.save`` writes them (float32), for programs that cannot read safetensors."""
    import io

    import torch

    stream = io.BytesIO()
    torch.save(decode(data), stream)
    return stream.getvalue()
