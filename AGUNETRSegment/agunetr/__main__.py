"""``python -m agunetr``: the command line."""

from __future__ import annotations

from agunetr.cli import program

if __name__ == "__main__":
    program()
