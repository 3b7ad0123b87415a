"""UNETR with optional attention gates on its skip connections, one class for every variant.

Built on MONAI's UNETR (Hatamizadeh et al. 2021, arXiv:2103.10504), whose ``state_dict`` keys it keeps; the gates add
keys below ``gates.``. Tensors are (batch, channel, R, A, S).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from monai.networks.nets import UNETR, ViT
from torch import Tensor, nn

from agunetr.networks.configuration import NetworkConfig
from agunetr.networks.gates import GATE_FORMULAS, AttentionGate, upsample_to

SKIP_WIDTH = {"enc1": 1, "enc2": 2, "enc3": 4, "enc4": 8}
"""Channels of each skip, in units of the feature size."""


class GatedUNETR(UNETR):
    """UNETR whose skips pass through the gates of its configuration.

    Without gates it computes exactly what MONAI's UNETR computes. The gating signal of a skip is the decoder feature
    one level below it: ``dec1`` for ``enc1``, ``dec2`` for ``enc2``, ``dec3`` for ``enc3`` and the ViT's output for
    ``enc4``.

    Args:
        config: the variant, its sizes and its gates.

    Examples::

        >>> network = GatedUNETR(network_config("agunetr-v2", "compact"))
        >>> logits = network(torch.zeros(1, 1, 64, 64, 64))      # (1, 2, 64, 64, 64)
        >>> with network.recording_gates():
        ...     network(torch.zeros(1, 1, 64, 64, 64))
        ...     maps = network.gate_maps()                        # {"enc1": (1, 1, 64, 64, 64), "enc2": ...}
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(
            in_channels=config.in_channels,
            out_channels=config.out_channels,
            img_size=config.window,
            feature_size=config.feature_size,
            hidden_size=config.hidden_size,
            mlp_dim=config.mlp_dim,
            num_heads=config.heads,
            norm_name="instance",
            res_block=True,
        )
        self.config = config
        if config.layers != self.num_layers:
            self._resize_encoder(config)
        self.taps = tuple(config.layers * quarter // 4 for quarter in (1, 2, 3))
        self.gates = nn.ModuleDict({skip: self._gate(skip) for skip in config.gates})
        self._recording = False
        self._maps: dict[str, Tensor] = {}
        self._window: Tensor | None = None

    def _resize_encoder(self, config: NetworkConfig) -> None:
        """MONAI fixes 12 layers; compact networks take as many as they are configured to."""
        self.num_layers = config.layers
        self.vit = ViT(
            in_channels=config.in_channels,
            img_size=config.window,
            patch_size=self.patch_size,
            hidden_size=config.hidden_size,
            mlp_dim=config.mlp_dim,
            num_layers=config.layers,
            num_heads=config.heads,
        )

    def _gate(self, skip: str) -> nn.Module:
        config = self.config
        skip_channels = SKIP_WIDTH[skip] * config.feature_size
        gating_channels = config.hidden_size if skip == "enc4" else 2 * skip_channels
        formula = GATE_FORMULAS[config.gate_formula]
        if formula is AttentionGate:
            return formula(skip_channels, gating_channels)
        return formula(skip_channels, gating_channels, config.gamma_start, config.psi_bias)

    @property
    def gate_names(self) -> tuple[str, ...]:
        """The skips that carry a gate, from fine to coarse."""
        return tuple(self.gates.keys())

    @contextmanager
    def recording_gates(self) -> Iterator[GatedUNETR]:
        """Keep every gate's last map while the context is open; nothing is kept outside it."""
        if self._recording:
            raise RuntimeError("The gates are being recorded already; use one recording_gates() at a time.")
        self._recording = True
        try:
            yield self
        finally:
            self._recording = False
            self._maps = {}
            self._window = None

    def gate_maps(self) -> dict[str, Tensor]:
        """The maps of the last forward pass inside :meth:`recording_gates`.

        Returns:
            For each gate (B, 1, R, A, S) in (0, 1), upsampled trilinearly to the window.

        Raises:
            RuntimeError: nothing was recorded.
        """
        if self._window is None:
            raise RuntimeError("No gate map was recorded: run the network inside recording_gates() first.")
        return {name: upsample_to(mask, self._window) for name, mask in self._maps.items()}

    def _gated(self, name: str, skip: Tensor, gating: Tensor) -> Tensor:
        if name not in self.gates:
            return skip
        gated, mask = self.gates[name](skip, gating)
        if self._recording:
            self._maps[name] = mask.detach()
        return gated

    def forward(self, x_in: Tensor) -> Tensor:
        """(B, in_channels, R, A, S) image to logits (B, out_channels, R, A, S).

        Raises:
            ValueError: ``x_in`` has other channels than the network, or is no window of it.
        """
        expected = (self.config.in_channels, *self.config.window)
        if x_in.ndim != 5 or tuple(x_in.shape[1:]) != expected:
            raise ValueError(
                f"x_in has the shape {tuple(x_in.shape)}; it must be (B, {', '.join(map(str, expected))})."
            )
        if self._recording:
            self._window = x_in[:, :1].detach()
        encoded, hidden = self.vit(x_in)
        bottom = self.proj_feat(encoded)
        enc4 = self.encoder4(self.proj_feat(hidden[self.taps[2]]))
        dec3 = self.decoder5(bottom, self._gated("enc4", enc4, bottom))
        enc3 = self.encoder3(self.proj_feat(hidden[self.taps[1]]))
        dec2 = self.decoder4(dec3, self._gated("enc3", enc3, dec3))
        enc2 = self.encoder2(self.proj_feat(hidden[self.taps[0]]))
        dec1 = self.decoder3(dec2, self._gated("enc2", enc2, dec2))
        enc1 = self.encoder1(x_in)
        return self.out(self.decoder2(dec1, self._gated("enc1", enc1, dec1)))
