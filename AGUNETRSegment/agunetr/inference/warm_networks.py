"""Networks that stay loaded from one scan to the next, and what runs them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from agunetr.errors import MemoryExhausted
from agunetr.inference.backends import Backend
from agunetr.inference.device_memory import give_back_unused, without_frames
from agunetr.inference.engines import EngineChoice, LoadedNetwork, choose_all

if TYPE_CHECKING:
    from agunetr.inference.segment_options import SegmentOptions
    from agunetr.models.bundle import ModelBundle

WARM_NETWORKS = 4
"""Networks kept loaded; the one unused for longest goes first."""


class WarmNetworks:
    """The loaded networks of one segmenter, by model and way to run it."""

    def __init__(self) -> None:
        self._choices: dict[tuple[str, str, str], EngineChoice] = {}
        self._loaded: OrderedDict[tuple[object, ...], LoadedNetwork] = OrderedDict()

    def __len__(self) -> int:
        return len(self._loaded)

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        return iter(self._loaded)

    def engine(self, options: SegmentOptions) -> EngineChoice:
        """What runs networks under these options.

        Raises:
            DeviceError: the device, engine or precision asked for is not there.
        """
        key = (options.device, options.engine, options.precision)
        choice = self._choices.get(key) or choose_all(*key)
        # A GPU that could not be used this time, because it was full, may be free the next time.
        if options.device != "auto" or choice.device.type != "cpu":
            self._choices[key] = choice
        return choice

    def backend(self, bundle: ModelBundle, engine: EngineChoice, gates: Sequence[str] = ()) -> Backend:
        """A model's network, ready to predict; the other models' make room for it where there is too little.

        Raises:
            ModelError: the weights cannot be used.
            EngineFault: the engine was asked for by name and cannot run the network.
            MemoryExhausted: the device cannot hold it alone.
        """
        try:
            return self.loaded(bundle, engine).backend(gates)
        except MemoryExhausted as error:
            exhausted = without_frames(error)
        if not self.make_room(bundle, engine):
            raise exhausted
        return self.loaded(bundle, engine).backend(gates)

    def loaded(self, bundle: ModelBundle, engine: EngineChoice) -> LoadedNetwork:
        """A model's network and what is known of the engine that runs it."""
        key = self._key(bundle, engine)
        if key not in self._loaded:
            while len(self._loaded) >= WARM_NETWORKS:
                self._loaded.popitem(last=False)
            self._loaded[key] = LoadedNetwork(bundle, engine)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def make_room(self, bundle: ModelBundle, engine: EngineChoice) -> bool:
        """Let the other models' networks go from a GPU; whether there were any."""
        if engine.device.type == "cpu":
            return False
        return self._forget(engine.device, keep=self._key(bundle, engine))

    def forget(self, device: torch.device) -> None:
        """Let all networks on a device go."""
        self._forget(device, keep=None)

    def _forget(self, device: torch.device, keep: tuple[object, ...] | None) -> bool:
        going = [key for key in self._loaded if key != keep and str(device) in key]
        for key in going:
            del self._loaded[key]
        give_back_unused(device)
        return bool(going)

    def _key(self, bundle: ModelBundle, engine: EngineChoice) -> tuple[object, ...]:
        # The weights do not tell everything: the number of heads, for one, leaves no trace in them. And what PyTorch
        # stands in for under auto is not what someone gets who asks for OpenVINO.
        how = (str(engine.device), engine.engine, engine.replaceable, engine.precision)
        return (bundle.checksum, bundle.network_config, *how)
