"""What is ticked at the first start, and what the rows of the table say."""

# -*- i18n: disabled -*-

from __future__ import annotations

from AGUNETRSegmentLib.model_choice import firstChoice, rowTexts, rowToolTip, sizeText, stillThere, unusable


def model(name, gates=(), embedded=True, **more):
    entry = {"name": name, "gates": list(gates), "embedded": embedded, "variant": "agunetr-v2" if gates else "unetr"}
    return {**entry, "title": f"Title of {name}", "size_bytes": 17_646_700, "mean_dice": 0.8957, **more}


BASE, GATED = model("compact-base"), model("compact-gated", ("enc1", "enc2"))


def test_base_and_gated_are_ticked_at_the_first_start():
    mine = model("a-mine", embedded=False)
    assert firstChoice([mine, BASE, GATED, model("other-gated", ("enc1",))]) == ["compact-base", "compact-gated"]
    assert firstChoice([mine]) == ["a-mine"] and firstChoice([]) == []


def test_what_is_not_installed_here_is_told_apart():
    assert stillThere(["gone", "compact-gated", "compact-base"], [BASE, GATED]) == (
        ["compact-base", "compact-gated"], ["gone"])


def test_rows():
    assert rowTexts({**GATED, "licence": "CC BY 4.0"}) == ["compact-gated", "gated, v2", "18 MB", "0.896", "CC BY 4.0"]
    assert rowTexts(model("new", mean_dice=None))[3:] == ["none", "not stated"]
    assert "enc1, enc2" in rowToolTip(GATED) and "came with AGUNETR" in rowToolTip(GATED)
    assert rowTexts({"name": "odd", "variant": "later"})[1] == "later"


def test_folders_without_a_usable_model():
    row = unusable({"folder": "/models/half", "reason": "It is truncated.", "removable": True})
    assert rowTexts(row)[:2] == ["half", "cannot be used"] and "truncated" in rowToolTip(row) and not row["embedded"]
    assert unusable({"folder": "/x", "reason": ""})["embedded"], "only what is the user's may be removed"


def test_sizes():
    assert [sizeText(size) for size in (12, 1_500, 17_646_700, 2.5e9)] == ["12 B", "2 kB", "18 MB", "2.5 GB"]
