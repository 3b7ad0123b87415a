"""The sentences of the batch: how far it is, and what came of it."""

from __future__ import annotations

from .batch_table import BatchTable, CaseState
from .progress_text import durationText
from .translation import _


def batchProgressText(table: BatchTable, seconds: float) -> str:
    """For example ``12 of 40 CTs, about 35 min left``.

    :param seconds: since the batch began.
    """
    total = len(table.cases)
    if not total:
        return _("Looking for CTs...")
    parts = [_("{count} of {total} CTs").format(count=table.over, total=total)]
    failed = table.count(CaseState.FAILED)
    if failed:
        parts.append(_("{count} failed").format(count=failed))
    worked = table.count(CaseState.DONE, CaseState.FAILED)  # finished ones are skipped in no time and tell nothing
    if worked and table.over < total:
        parts.append(_("about {time} left").format(time=durationText(seconds / worked * (total - table.over))))
    return ", ".join(parts)


def batchEndText(table: BatchTable, stopped: bool) -> str:
    """What came of it, for example ``Finished: 38 done, 1 failed.``.

    :param stopped: the user ended it.
    """
    names = (
        (_("{count} done"), (CaseState.DONE,)),
        (_("{count} finished before"), (CaseState.SKIPPED,)),
        (_("{count} failed"), (CaseState.FAILED,)),
        (_("{count} left out"), (CaseState.LEFT_OUT,)),
        (_("{count} not done"), (CaseState.CANCELLED, CaseState.NOT_STARTED)),
    )
    counts = ((text, table.count(*states)) for text, states in names)
    parts = ", ".join(text.format(count=count) for text, count in counts if count)
    if stopped:
        sentence = _("Stopped: {counts}.").format(counts=parts) if parts else _("Stopped.")
        return " ".join([sentence, _("Start again to go on with the rest.")])
    return _("Finished: {counts}.").format(counts=parts) if parts else _("Finished.")
