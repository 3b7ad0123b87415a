"""Networks run by OpenVINO, the faster engine on CPUs; an optional dependency.

A network is converted and compiled once for each model, machine and version, with and without gate maps as outputs.
After it has answered a window as PyTorch does (:mod:`agunetr.inference.openvino_check`) it is kept on disk in the form
that OpenVINO runs (:mod:`agunetr.inference.form_cache`): later processes read it and neither convert nor need the
weights.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from agunetr import __version__
from agunetr.errors import AgunetrError
from agunetr.inference import openvino_conversion, openvino_runtime
from agunetr.inference.devices import memory_guard, says_out_of_memory
from agunetr.inference.form_cache import FormCache
from agunetr.inference.openvino_check import AnswerCheck
from agunetr.inference.openvino_runtime import EngineFault, first_reason
from agunetr.inference.torch_backend import check_gates

if TYPE_CHECKING:
    import openvino

    from agunetr.models.bundle import ModelBundle
    from agunetr.networks.unetr import GatedUNETR

log = logging.getLogger(__name__)

CPU = torch.device("cpu")


class OpenVinoBackend:
    """A network run by OpenVINO on the CPU, in as many threads as PyTorch would take.

    Args:
        source: a model, whose compiled forms are kept on disk, or a network, whose are not.
        precision: ``"exact"`` (float32) or ``"fast"`` (bfloat16).
        cache: where compiled forms are kept; the user's cache folder where None.

    Raises:
        ValueError: another precision.
        EngineFault: fast, on a CPU on which OpenVINO has no bfloat16.
    """

    def __init__(
        self, source: ModelBundle | GatedUNETR, precision: str = "exact", cache: FormCache | None = None
    ) -> None:
        if precision not in ("exact", "fast"):
            raise ValueError(f"precision must be 'exact' or 'fast', not {precision!r}.")
        self.device = CPU
        self.precision = precision
        self._source = source
        is_network = isinstance(source, torch.nn.Module)
        self._window = tuple(source.config.window if is_network else source.window)
        self._cache = None if is_network else cache or FormCache()
        self._settings = openvino_runtime.settings(precision, torch.get_num_threads())
        self._forms: dict[tuple[str, ...], openvino.InferRequest] = {}

    def prepare(self, gates: Sequence[str] = ()) -> None:
        """Read the form for predictions with or without gate maps from disk, or convert and compile it.

        Raises:
            EngineFault: OpenVINO cannot convert or compile the network, or then computes something else.
            ModelError: the model's weights cannot be used, or it lacks a gate that was named.
            MemoryExhausted: the machine has too little memory for it.
        """
        check_gates(gates, self._source.gate_names)
        self._form(bool(gates))

    def predict(self, windows: torch.Tensor, gates: Sequence[str] = ()) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See :meth:`agunetr.inference.backends.Backend.predict`; a batch is computed window by window.

        Raises:
            ValueError: the windows have another shape than the network's.
            EngineFault: OpenVINO fails while it computes.
            ModelError, MemoryExhausted: see :meth:`prepare`.
        """
        if windows.ndim != 5 or tuple(windows.shape[1:]) != (1, *self._window) or not len(windows):
            raise ValueError(f"windows must have the shape (B, 1, R, A, S) of {self._window}, not {windows.shape}.")
        check_gates(gates, self._source.gate_names)
        request = self._form(bool(gates))
        names = self._source.gate_names
        with memory_guard(CPU):
            answers = [self._run(request, window) for window in windows.detach().cpu().float().split(1)]
            logits, *maps = (torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*answers, strict=True))
        by_name = dict(zip(names, maps, strict=True)) if gates else {}
        return logits, {gate: by_name[gate] for gate in gates}

    def _run(self, request: openvino.InferRequest, window: torch.Tensor) -> list[torch.Tensor]:
        import openvino

        array = window.contiguous().numpy()
        try:
            request.set_input_tensor(openvino.Tensor(array, shared_memory=True))
            request.infer()
        except RuntimeError as error:
            if says_out_of_memory(error):
                raise
            raise EngineFault(
                f"OpenVINO failed while it computed: {first_reason(error)}.", "Choose the engine torch."
            ) from error
        # Copies: the request writes the next window's answer into the same memory.
        return [torch.from_numpy(tensor.data.copy()) for tensor in request.output_tensors]

    def _form(self, with_maps: bool) -> openvino.InferRequest:
        """The network ready to run; its outputs are the logits, and every gate's map or none."""
        gates = tuple(self._source.gate_names) if with_maps else ()
        if gates not in self._forms:
            with memory_guard(CPU):
                compiled = self._read(gates) or self._build(gates)
                self._forms[gates] = compiled.create_infer_request()
        return self._forms[gates]

    def _read(self, gates: tuple[str, ...]) -> openvino.CompiledModel | None:
        """The form as it was kept on disk."""
        if self._cache is None:
            return None
        key = self._key(gates)
        data = self._cache.read(key)
        if data is None:
            return None
        try:
            return openvino_runtime.core().import_model(io.BytesIO(data), "CPU", self._settings)
        except Exception as error:  # as in _build(): versions differ in what they raise
            if says_out_of_memory(error):
                raise
            self._cache.discard(key, f"OpenVINO does not read it ({first_reason(error)})")
            return None

    def _build(self, gates: tuple[str, ...]) -> openvino.CompiledModel:
        log.info("Converting %s for OpenVINO.", getattr(self._source, "name", "a network"))
        network = self._source if self._cache is None else self._source.network()
        try:
            check = AnswerCheck(network, self._window, gates, self.precision)
            model = openvino_conversion.convert(network, self._window, gates)
            compiled = openvino_runtime.core().compile_model(model, "CPU", self._settings)
            check.compare(self._run(compiled.create_infer_request(), check.input))
        except (AgunetrError, MemoryError):
            raise
        except Exception as error:  # tracing and converting raise whatever their authors liked
            if says_out_of_memory(error):
                raise
            raise EngineFault(
                f"OpenVINO cannot run the network: {first_reason(error)}.", "Choose the engine torch."
            ) from error
        del model, network, check  # as large as what is exported now
        if self._cache is not None:
            self._keep(compiled, gates)
        return compiled

    def _keep(self, compiled: openvino.CompiledModel, gates: tuple[str, ...]) -> None:
        """On disk for later processes; this one works without."""
        try:
            data = compiled.export_model().getbuffer()
        except Exception as error:  # as in _build()
            log.warning("OpenVINO cannot export the compiled network, so it is not kept: %s.", first_reason(error))
            return
        self._cache.keep(self._key(gates), data)

    def _key(self, gates: tuple[str, ...]) -> str:
        """Changes with everything that the compiled form depends on, the threads excepted: they are set on reading."""
        depends_on = {
            "weights": self._source.checksum,
            "network": repr(self._source.network_config),
            "window": self._window,
            "gates": gates,
            "precision": self.precision,
            "agunetr": __version__,
            "openvino": openvino_runtime.openvino_version(),
            "torch": torch.__version__,
            "monai": _version("monai"),
            "cpu": (openvino_runtime.cpu_name(), openvino_runtime.cpu_capabilities()),
        }
        return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:40]


def _version(package: str) -> str:
    """Its version; empty where its metadata is missing, as in frozen applications."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
