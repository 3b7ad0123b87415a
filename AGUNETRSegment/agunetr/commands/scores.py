"""Measured values as people read them."""

from __future__ import annotations


def score_text(value: float | None) -> str:
    """Four significant decimals; a value that does not exist is never shown as a number."""
    return "undefined" if value is None else f"{value:.4f}"
