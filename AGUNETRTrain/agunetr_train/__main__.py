"""``python -m agunetr_train``: the command line ``agunetr``, to which this package adds its commands."""

from __future__ import annotations

from agunetr.cli import program

if __name__ == "__main__":
    program()
