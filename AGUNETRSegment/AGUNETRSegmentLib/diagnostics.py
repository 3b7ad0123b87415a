"""The text that Copy diagnostics puts on the clipboard: for a question in a forum, so nothing personal.

No patient, no file of the user and no password is in it: versions, what the health check found, where pip looks for
packages, and the end of the last installation's output. The home folder is written ``~``.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .pip_reasons import withoutCredentials
from .setup_state import SetupLine

LINES_OF_INSTALLATION = 60
# What steers pip, the GPU and the engine; values are shown without passwords.
VARIABLES = re.compile(r"PIP_\w+|(?:HTTPS?|ALL|NO)_PROXY|https?_proxy|CUDA_VISIBLE_DEVICES|OMP_NUM_THREADS|AGUNETR_\w+")


def diagnosticsText(
    application: Mapping[str, str],
    lines: Mapping[str, SetupLine],
    findings: Sequence[Mapping],
    versions: Mapping[str, str],
    installation: str = "",
    problem: str = "",
    home: Path | None = None,
) -> str:
    """Everything in one text.

    :param application: what the application says of itself, by title.
    :param lines: the section's lines by name.
    :param findings: of the health check.
    :param versions: of the packages by name.
    :param installation: what the last installation printed.
    :param problem: the last sentence that told of a problem.
    :param home: the user's home folder, which is not shown.
    """
    parts = ["AGUNETR diagnostics", ""]
    system = {"System": f"{platform.platform()}, {platform.machine()}", "Python": platform.python_version()}
    parts += [f"{title}: {value}" for title, value in {**application, **system}.items()]
    if problem:
        parts += ["", f"Last problem: {problem}"]
    parts += ["", "Setup"]
    parts += [f"  {name}: {line.state}: {line.text}" for name, line in lines.items()]
    parts += ["", "Health check"]
    parts += [
        f"  {finding.get('state', ''):<7} {finding.get('name', '')}: {finding.get('found', '')}"
        + (f" ({finding['advice']})" if finding.get("advice") else "")
        for finding in findings
    ] or ["  was not run"]
    parts += ["", "Packages"]
    parts += [f"  {name} {version}" for name, version in sorted(versions.items())] or ["  not looked for"]
    parts += ["", "Environment"]
    parts += [f"  {name}={value}" for name, value in sorted(os.environ.items()) if VARIABLES.fullmatch(name)]
    if installation.strip():
        parts += ["", f"Last installation, its last {LINES_OF_INSTALLATION} lines"]
        parts += [f"  {line}" for line in installation.strip().splitlines()[-LINES_OF_INSTALLATION:]]
    return withoutHome(withoutCredentials("\n".join(parts)), home or Path.home()) + "\n"


def withoutHome(text: str, home: Path) -> str:
    """*text* with the home folder, which often is the user's name, written ``~``."""
    for form in {str(home), home.as_posix()}:
        if len(form) > 3:  # a bare drive or root is no name
            text = re.sub(re.escape(form) + r"(?![^\\/\s'\"])", "~", text)
    return text
