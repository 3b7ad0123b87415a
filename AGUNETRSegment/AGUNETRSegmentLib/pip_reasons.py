"""Why an installation failed, in one sentence, and what to do: read from what pip printed.

pip ends with "returned non-zero exit status 1" whatever went wrong; the cause stands somewhere in its output. The
patterns below are texts of pip, of the libraries it uses and of the operating systems, the most telling first: a full
disk, for example, also makes pip print lines that look like a damaged package.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .translation import _

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class PipReason:
    """Why pip failed.

    :ivar kind: a word for programs and tests: ``space``, ``proxy``, ``network``, ``conflict`` ...
    :ivar message: what is wrong, one sentence.
    :ivar remedy: what to do about it.
    """

    kind: str
    message: str
    remedy: str


def withoutCredentials(text: str) -> str:
    """*text* with user names and passwords cut out of its web addresses."""
    return _CREDENTIALS.sub("", text)


def indexAddresses(output: str) -> list[str]:
    """Where pip looked for packages, as it printed it, without passwords."""
    found: list[str] = []
    for line in re.findall(r"^Looking in (?:indexes|links): (.+)$", output, re.MULTILINE):
        found += [withoutCredentials(address.strip()) for address in line.split(",")]
    return list(dict.fromkeys(found))


def failureReason(output: str, returnCode: int | None = None) -> PipReason:
    """The reason for a failed installation.

    :param output: everything that pip printed.
    :param returnCode: its exit code where known.
    :returns: the first cause that the output names; where it names none, its last error line as it stands.
    """
    for pattern, reason in _REASONS:
        match = re.search(pattern, output, re.IGNORECASE | re.MULTILINE)
        if match:
            return reason(match, output)
    if returnCode is not None and (returnCode < 0 or returnCode == 137):
        return PipReason(
            "killed",
            _("The installation was ended by the system, most likely for lack of memory."),
            _("Close other programs and install again."),
        )
    return PipReason(
        "unknown",
        _('pip says: "{line}"').format(line=_lastErrorLine(output)),
        _("Copy the diagnostics and ask with them where you got Slicer, or look the line up."),
    )


def _lastErrorLine(output: str) -> str:
    lines = [line.strip() for line in withoutCredentials(output).splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(?:ERROR|\w*Error):?\s", line)]
    line = (errors or lines or [_("nothing")])[-1]
    return line.removeprefix("ERROR: ")[:300]


def _named(match: re.Match) -> str:
    """What a pattern with alternatives caught; empty where it caught nothing."""
    return next((group for group in match.groups() if group), "")


def _where(output: str) -> str:
    """The addresses pip used, for a sentence."""
    hosts = re.findall(r"host='([^']+)'", output)
    addresses = indexAddresses(output) or list(dict.fromkeys(hosts))
    return ", ".join(addresses[:3]) if addresses else _("the package index")


def _space(_match: re.Match, _output: str) -> PipReason:
    return PipReason(
        "space",
        _("The disk is full."),
        _("Free some gigabytes where Slicer is installed and in the temporary folder, then install again."),
    )


def _proxyLogin(_match: re.Match, output: str) -> PipReason:
    return PipReason(
        "proxy",
        _("The proxy server wants a login before {address} can be reached.").format(address=_where(output)),
        _(
            "Set HTTPS_PROXY=http://user:password@server:port or pip's own configuration, start Slicer again, "
            "or install from a folder of wheels."
        ),
    )


def _proxy(_match: re.Match, output: str) -> PipReason:
    return PipReason(
        "proxy",
        _("The proxy server between this computer and {address} cannot be reached.").format(address=_where(output)),
        _("Check HTTPS_PROXY and pip's configuration, start Slicer again, or install from a folder of wheels."),
    )


def _certificate(_match: re.Match, output: str) -> PipReason:
    return PipReason(
        "certificate",
        _("The certificate of {address} is not trusted; many networks put their own in between.").format(
            address=_where(output)
        ),
        _(
            "Ask your IT department for its root certificate and name it in pip's configuration (pip config set "
            "global.cert FILE), or install from a folder of wheels."
        ),
    )


def _refused(match: re.Match, output: str) -> PipReason:
    return PipReason(
        "refused",
        _("{address} refused the download (HTTP {code}).").format(address=_where(output), code=_named(match)),
        _("Check the address and the login of the package index in pip's configuration."),
    )


def _network(_match: re.Match, output: str) -> PipReason:
    return PipReason(
        "network",
        _("{address} cannot be reached.").format(address=_where(output)),
        _("Connect to the internet, name your mirror in pip's configuration, or install from a folder of wheels."),
    )


def _longPath(_match: re.Match, _output: str) -> PipReason:
    return PipReason(
        "path",
        _("A file of the package has a longer path than Windows allows (260 characters)."),
        _("Switch on long paths in Windows, or install Slicer in a shorter folder, such as C:\\Slicer."),
    )


def _inUse(_match: re.Match, _output: str) -> PipReason:
    return PipReason(
        "in use",
        _("A file that must be replaced is in use by this Slicer."),
        _("Start Slicer again and install before another module uses PyTorch."),
    )


def _permission(match: re.Match, _output: str) -> PipReason:
    place = _named(match)
    return PipReason(
        "permission",
        _('Slicer\'s folder cannot be written to ("{path}").').format(path=place)
        if place
        else _("Slicer's folder cannot be written to."),
        _("Install Slicer in a folder of your own, or start it once as administrator to install."),
    )


def _conflict(_match: re.Match, output: str) -> PipReason:
    kept = re.search(r"The user requested \(constraint\) ([^\s]+)", output)
    wants = re.findall(r"^\s+(\S+ \S+) depends on (.+?)$", output, re.MULTILINE)
    if kept:
        name = kept.group(1).split("=")[0].split("<")[0].split(">")[0].lower()
        wish = next((f"{who}: {what}" for who, what in wants if what.lower().startswith(name)), "")
        return PipReason(
            "conflict",
            _("{kept} must stay, and a package wants another version ({wish}).").format(kept=kept.group(1), wish=wish)
            if wish
            else _("{kept} must stay, and a package wants another version.").format(kept=kept.group(1)),
            _("It belongs to Slicer or is your PyTorch, and replacing it can break them; use a newer Slicer."),
        )
    wish = "; ".join(f"{who}: {what}" for who, what in wants[:3])
    return PipReason(
        "conflict",
        _("The packages contradict each other ({wishes}).").format(wishes=wish or _("pip does not say how")),
        _("Uninstall the package that another extension brought, or use a newer Slicer."),
    )


def _noVersion(match: re.Match, output: str) -> PipReason:
    name = match.group(1)
    if re.search(r"^Looking in links", output, re.MULTILINE) and "Looking in indexes" not in output:
        return PipReason(
            "missing wheel",
            _("The folder holds no suitable file of {name}.").format(name=name),
            _("Put its wheel for this system and this Python version into the folder; the README says how to get it."),
        )
    return PipReason(
        "no version",
        _("{address} has no version of {name} for this system and this Python.").format(
            address=_where(output), name=name
        ),
        _("Use a newer Slicer; on a Mac with Apple silicon the one for arm64."),
    )


def _wrongWheel(match: re.Match, _output: str) -> PipReason:
    return PipReason(
        "wrong wheel",
        _("{name} is made for another system or Python version.").format(name=match.group(1)),
        _("Get the wheels for this system and for the Python version that the diagnostics name."),
    )


def _hash(_match: re.Match, _output: str) -> PipReason:
    return PipReason(
        "damaged",
        _("A downloaded file is not what the package index announced: it was damaged or changed on the way."),
        _("Install again; if it happens again, a filter in your network changes downloads: use a folder of wheels."),
    )


def _source(match: re.Match, _output: str) -> PipReason:
    name = _named(match)
    return PipReason(
        "source only",
        _("{name} would have to be compiled here, which failed.").format(name=name or _("A package")),
        _("Use a newer Slicer: ready-made files of the package exist for current Python versions only."),
    )


def _memory(_match: re.Match, _output: str) -> PipReason:
    return PipReason(
        "killed",
        _("The installation ran out of memory."),
        _("Close other programs and install again."),
    )


def _noPip(_match: re.Match, _output: str) -> PipReason:
    return PipReason("pip", _("Slicer's Python has no working pip."), _("Install Slicer again."))


# In this order: the first that is found is told.
_REASONS: tuple[tuple[str, Callable[[re.Match, str], PipReason]], ...] = (
    (r"No space left on device|\[Errno 28\]|WinError 112|Disk quota exceeded", _space),
    (r"WinError 206|File name too long|filename or extension is too long|Windows Long Path support", _longPath),
    (r"407 Proxy Authentication|Proxy Authentication Required", _proxyLogin),
    (r"ProxyError|Cannot connect to proxy|Unable to connect to proxy", _proxy),
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerificationError|SSLError", _certificate),
    (r"\b(401|403) (?:Client )?Error|HTTP error (401|403)", _refused),
    (r"DO NOT MATCH THE HASHES|hash mismatch|BadZipFile|zipfile is corrupt|IncompleteRead", _hash),
    (r"WinError 32|being used by another process", _inUse),
    (r"Permission denied: ['\"]([^'\"]+)|WinError 5\b[^'\"]*['\"]([^'\"]+)|Permission denied|Access is denied|"
     r"Read-only file system", _permission),
    (r"no matching distributions available for your environment:\s+(\S+)", _noVersion),
    (r"ResolutionImpossible|conflicting dependencies", _conflict),
    (r"NewConnectionError|Name or service not known|getaddrinfo failed|Temporary failure in name resolution|"
     r"nodename nor servname|Network is unreachable|ConnectTimeout|Read timed out|Max retries exceeded|"
     r"Connection (?:refused|reset|aborted)|No route to host", _network),
    (r"^ERROR: ([^\s]+\.whl) is not a supported wheel", _wrongWheel),
    (r"No matching distribution found for ([^\s(]+)", _noVersion),
    (r"Failed building wheel for (\S+)|Failed to build (\S+)|subprocess-exited-with-error|"
     r"Microsoft Visual C\+\+ .* is required", _source),
    (r"MemoryError", _memory),
    (r"No module named pip\b", _noPip),
)  # fmt: skip

