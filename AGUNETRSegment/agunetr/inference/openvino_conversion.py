"""A PyTorch network as an OpenVINO model, in memory.

The frontend is used directly and not through ``openvino.convert_model``: that function reports its use over the
network to OpenVINO's makers unless the user has forbidden it, and nothing of this project may call out.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from agunetr.networks.with_maps import WithMaps

if TYPE_CHECKING:
    import openvino


def convert(network: torch.nn.Module, window: Sequence[int], gates: Sequence[str] = ()) -> openvino.Model:
    """The network for one window at a time, with float32 weights.

    Args:
        network: in evaluation mode, on the CPU. The model shares its weights until it is compiled.
        window: voxels along (R, A, S).
        gates: whose maps are outputs, after the logits and in this order.

    Returns:
        A model with one input (1, 1, R, A, S) and the outputs (1, C, R, A, S), then (1, 1, R, A, S) for each gate.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    shape = [1, 1, *window]
    with warnings.catch_warnings(), torch.no_grad():
        # Of a trace being no program for other shapes, which is intended, and of traces being an old way, which is
        # OpenVINO's own choice.
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(WithMaps(network, gates).eval(), example_input=(torch.zeros(shape),))
    frontend = FrontEndManager().load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    model.reshape({model.input(0): shape})
    return model
