"""A loss that is no number any more: what is said, and the batch kept for whoever looks into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from agunetr.errors import InputError
from agunetr_train.run_folder import write_record


class LossNotFinite(InputError):
    """The loss or the gradient became infinite or undefined; the weights are those of the step before."""


def refuse_batch(folder: Path, batch: Mapping[str, Any], facts: Mapping[str, Any], keep: bool) -> LossNotFinite:
    """The error to raise.

    Args:
        folder: where ``nan_step=<n>.safetensors`` (``image``, ``label``) and the ``.json`` of the same name go.
        batch: the patches with the numbers (``draw``) and cases they come from.
        facts: ``epoch``, ``step``, ``learning_rate``, ``loss``, ``gradient_norm``.
        keep: whether it is this process's batch that failed, and so to be kept.
    """
    cases, draws = _listed(batch["case"]), _listed(batch["draw"])
    file = folder / f"nan_step={facts['step']}.safetensors"
    kept = "the process that met it kept its batch"
    if keep:
        try:
            save_file({key: batch[key].detach().cpu().contiguous() for key in ("image", "label")}, file)
            readable = {key: str(value) if key in ("loss", "gradient_norm") else value for key, value in facts.items()}
            write_record(file.with_suffix(".json"), {**readable, "cases": cases, "draws": list(map(int, draws))})
            kept = f"the batch is kept as {file}"
        except (OSError, SafetensorError) as error:
            kept = f"the batch could not be kept ({error})"
    what = "gradient" if str(facts["loss"]) not in ("nan", "inf", "-inf") else "loss"
    return LossNotFinite(
        f"The {what} is no finite number in epoch {facts['epoch']} at step {facts['step']} "
        f"(cases {', '.join(sorted(set(cases)))}); {kept}.",
        "Lower learning_rate, set clip_norm to 1, choose precision float32, or look for a fault in those cases; "
        "the last checkpoint is from before.",
    )


def _listed(values: Any) -> Sequence[Any]:
    return list(values) if isinstance(values, list | tuple) else values.tolist()
