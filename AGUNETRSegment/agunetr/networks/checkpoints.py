"""Moving weights between networks: base to gated and back, and from UNETR checkpoints of older MONAI.

A checkpoint fits when every weight but the gates' is there with the right shape. The only other differences allowed
are the ones between MONAI 0.8 and today: weights that take no part in the computation of UNETR, and the cutting into
patches by a linear layer (``perceptron``), which is the same computation as today's convolution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from agunetr.errors import ModelError

_PATCHES = "vit.patch_embedding.patch_embeddings"
_GATE = re.compile(r"gates\.([^.]+)\.")
_OLD_MONAI_MISSING = re.compile(r"vit\.blocks\.\d+\.norm_cross_attn\.(weight|bias)")
_OLD_MONAI_UNEXPECTED = re.compile(
    r"vit\.patch_embedding\.cls_token|encoder2\.blocks\.[01]\.1\.conv3\.conv\.weight|encoder3\.blocks\.0\.1\.conv3\.conv\.weight"
)


def load_weights(
    network: nn.Module, state_dict: Mapping[str, Tensor], source: str = "The checkpoint", adopt: bool = False
) -> list[str]:
    """Copy the weights of ``state_dict`` into ``network``.

    Everything but the gates must be there with its shape. A gate is taken over whole or not at all: where the
    checkpoint has no gate at that skip, or one of another formula or size, the network's own keeps its start.

    Args:
        network: any variant.
        state_dict: weights of any variant of the same size, saved by this project or by MONAI 0.8 or later.
        source: how to call the checkpoint in an error.
        adopt: make the tensors of ``state_dict`` themselves the network's, instead of copying them.

    Returns:
        The names of the gates' weights that kept their start values.

    Raises:
        ModelError: any other weight is missing, superfluous or of another shape; ``network`` is unchanged.
    """
    own = network.state_dict()
    state_dict = with_patch_convolution(state_dict, own)
    kept_gates = _kept_gates(own, state_dict)
    wanted = [key for key in own if not _GATE.match(key)]
    missing = [key for key in wanted if key not in state_dict and not _OLD_MONAI_MISSING.fullmatch(key)]
    superfluous = [
        key
        for key in state_dict
        if key not in own and not _OLD_MONAI_UNEXPECTED.fullmatch(key) and not _GATE.match(key)
    ]
    wrong = [key for key in wanted if key in state_dict and own[key].shape != state_dict[key].shape]
    remedy = "Use a checkpoint of the same network size."
    if missing:
        problem = f"{source} lacks {len(missing)} weights of this network, the first is {missing[0]}."
        raise ModelError(problem, remedy)
    if superfluous:
        problem = f"{source} has {len(superfluous)} weights that this network lacks, the first is {superfluous[0]}."
        raise ModelError(problem, remedy)
    if wrong:
        shapes = f"{tuple(state_dict[wrong[0]].shape)} instead of {tuple(own[wrong[0]].shape)}"
        problem = f"{source} has {len(wrong)} weights of another shape, the first is {wrong[0]} with {shapes}."
        raise ModelError(problem, remedy)
    kept = set(kept_gates)
    weights = {key: own[key] if key in kept else state_dict.get(key, own[key]) for key in own}
    network.load_state_dict(weights, assign=adopt)
    return kept_gates


def with_patch_convolution(state_dict: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The checkpoint with the weights of a linear patch embedding in the form of a convolution.

    Args:
        state_dict: any checkpoint; one without such a layer is returned as it is.
        own: of the network that is to take it, which says how large a patch is.
    """
    linear, convolution = (f"{_PATCHES}.{part}" for part in ("1.weight", "weight"))
    wanted = own.get(convolution)
    if linear not in state_dict or wanted is None or state_dict[linear].numel() != wanted.numel():
        return state_dict
    renamed = {key.replace(f"{_PATCHES}.1.", f"{_PATCHES}."): value for key, value in state_dict.items()}
    # The linear layer sees a patch's voxels row by row with the channels of each voxel together.
    width, channels, *edges = wanted.shape
    in_patch_order = renamed[convolution].reshape(width, *edges, channels)
    return {**renamed, convolution: in_patch_order.movedim(-1, 1).contiguous()}


def _kept_gates(own: Mapping[str, Tensor], state_dict: Mapping[str, Tensor]) -> list[str]:
    """Names of the weights of every gate that the checkpoint does not hold in just this form."""
    mine, theirs = _shapes_of_gates(own), _shapes_of_gates(state_dict)
    return [key for key in own if (gate := _GATE.match(key)) and mine[gate[1]] != theirs.get(gate[1])]


def _shapes_of_gates(state_dict: Mapping[str, Tensor]) -> dict[str, dict[str, tuple[int, ...]]]:
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, value in state_dict.items():
        if gate := _GATE.match(key):
            shapes.setdefault(gate[1], {})[key] = tuple(value.shape)
    return shapes
