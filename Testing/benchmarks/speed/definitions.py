"""Every row of the benchmark by name: what it measures and what must hold."""

from __future__ import annotations

from dataclasses import dataclass

from speed.rows import Limit, Row


@dataclass(frozen=True)
class Definition:
    """What a row is before it is measured.

    Attributes:
        what: one sentence for the table.
        target: what must hold; empty for a row that only reports.
        group: rows of one group are measured together, in turns.
        ratio_of: see :class:`speed.rows.Row`.
    """

    what: str
    group: str
    target: tuple[Limit, ...] = ()
    ratio_of: str = "reference / ours"

    def row(self, name: str) -> Row:
        """An empty row of this definition."""
        return Row(name, self.what, self.target, ratio_of=self.ratio_of)


def _exact(ratio: float) -> tuple[Limit, ...]:
    return Limit("ratio", at_least=ratio), Limit("mask_difference", at_most=1e-4)


def _fast(ratio: float) -> tuple[Limit, ...]:
    return (
        Limit("ratio", at_least=ratio),
        Limit("dice_with_exact", at_least=0.998),
        Limit("peak_fraction", at_least=0.65),
    )


DEFINITIONS: dict[str, Definition] = {
    "window-exact-openvino": Definition("one full-size window, float32, OpenVINO", "window", _exact(3)),
    "window-exact-torch": Definition("one full-size window, float32, PyTorch", "window", _exact(1.5)),
    "window-fast-openvino": Definition("one full-size window, bfloat16, OpenVINO", "window", _fast(6.5)),
    "window-fast-torch": Definition("one full-size window, bfloat16, PyTorch", "window", _fast(4)),
    "pre-post": Definition(
        "reading, orienting, resampling to 1 mm, cropping, clipping; and back to the CT's grid",
        "pre-post",
        (Limit("ratio", at_least=12),),
    ),
    "stitching": Definition(
        "accumulating, blending and thresholding the windows of a CT",
        "stitching",
        (Limit("ratio", at_least=10), Limit("memory_share", at_most=1 / 3)),
    ),
    "segment-dense-exact": Definition(
        "a whole Segment, full-size model, every window, float32", "segment", (Limit("ratio", at_least=3),)
    ),
    "segment-dense-fast": Definition(
        "a whole Segment, full-size model, every window, bfloat16", "segment", (Limit("ratio", at_least=6),)
    ),
    "segment-localised": Definition(
        "a whole Segment, full-size model, only windows near the organ",
        "segment",
        (Limit("ratio", at_least=30), Limit("dice_with_dense", at_least=0.995)),
    ),
    "two-models": Definition(
        "base and gated embedded models together, against the base model alone",
        "two-models",
        (Limit("ratio", at_most=1.7),),
        "ours / reference",
    ),
    "second-click": Definition(
        "the second Segment in the same worker, against its inference alone",
        "second-click",
        (Limit("overhead_s", at_most=0.3), Limit("load_s", at_most=0.02)),
        "ours / reference",
    ),
    "compact-click": Definition(
        "embedded model on a CT of 512x512x300 voxels of 0.8x0.8x1.5 mm",
        "compact-click",
        (Limit("ratio", at_least=5),),
    ),
    "memory": Definition(
        "peak memory, full-size model, CT of 512x512x800 voxels of 0.7x0.7x1 mm, CPU",
        "memory",
        (Limit("peak_memory_mb", at_most=3000),),
    ),
    "growth": Definition(
        "time and memory against the number of slices, 100 to 800",
        "growth",
        (Limit("time_growth", at_most=1.1), Limit("memory_growth", at_most=1.1)),
    ),
    "throughput": Definition("20 CTs in one call, against 20 single calls", "throughput"),
    "train-step-exact": Definition(
        "one step of training, full-size network, 96^3, float32, against MONAI's trainer in eager float32",
        "train-step",
        (Limit("loss_difference", at_most=1e-3),),
    ),
    "train-step-fast": Definition(
        "one step of training, full-size network, 96^3, bfloat16, against MONAI's trainer in eager float32",
        "train-step",
        (Limit("ratio", at_least=4), Limit("loss_difference", at_most=2e-2)),
    ),
    "train-loading": Definition(
        "cutting and augmenting a patch of a CT at 1 mm, against the step that learns from it",
        "train-loading",
        (Limit("ratio", at_most=0.1),),
        "ours / reference",
    ),
    "trial-torch-one-thread": Definition("PyTorch on one thread", "trials"),
    "trial-torch-batch-2": Definition("PyTorch, two windows at once", "trials"),
    "trial-torch-int8-linear": Definition("PyTorch, linear layers in int8", "trials"),
    "trial-torch-compile": Definition("PyTorch, torch.compile", "trials"),
    "trial-openvino-one-thread": Definition("OpenVINO on one thread", "trials"),
    "trial-openvino-batch-2": Definition("OpenVINO, two windows at once", "trials"),
    "trial-openvino-streams-2": Definition("OpenVINO, two streams, for throughput", "trials"),
    "trial-openvino-int8-weights": Definition("OpenVINO, weights in int8", "trials"),
    "trial-float16": Definition("sums of the windows in float16", "trials"),
}

TRIALS = "trials"
"""The group of rows that say what pays, not how this project compares."""


def groups_of(names: list[str]) -> dict[str, list[str]]:
    """The groups that hold these rows, each with its rows, in the order of the table.

    Raises:
        ValueError: there is no row of that name.
    """
    unknown = [name for name in names if name not in DEFINITIONS]
    if unknown:
        raise ValueError(f"There is no row called {unknown[0]!r}; there are {', '.join(DEFINITIONS)}.")
    groups: dict[str, list[str]] = {}
    for name, definition in DEFINITIONS.items():
        if name in names:
            groups.setdefault(definition.group, []).append(name)
    return groups
