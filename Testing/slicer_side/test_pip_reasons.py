"""Every way in which an installation commonly fails is told by its cause and not by an exit code."""

# -*- i18n: disabled -*-

from __future__ import annotations

import pytest

from AGUNETRSegmentLib.pip_reasons import failureReason, indexAddresses, withoutCredentials

RETRIES = (
    "WARNING: Retrying (Retry(total=0, connect=None, read=None, status=None)) after connection broken by "
)
CONFLICT = """\
ERROR: Cannot install needy==1.0 because these package versions have conflicting dependencies.

The conflict is caused by:
    needy 1.0 depends on numpy<2
    The user requested (constraint) numpy==2.4.6

To fix this you could try to:
1. loosen the range of package versions you've specified

ERROR: ResolutionImpossible: for help visit the documentation
"""
BETWEEN_PACKAGES = """\
ERROR: Cannot install a and b because these package versions have conflicting dependencies.

The conflict is caused by:
    a 1.0 depends on c<2
    b 3.1 depends on c>=2

ERROR: ResolutionImpossible: for help visit the documentation
"""
CASES = {
    "full disk": ("Installing collected packages: torch\nERROR: Could not install packages due to an OSError: "
                  "[Errno 28] No space left on device", "space", ("disk is full",)),
    "long path": ("ERROR: Could not install packages due to an OSError: [WinError 206] The filename or extension is "
                  "too long: 'C:\\\\Users\\\\x'", "path", ("260", "long paths")),
    "long path, pip's hint": ("ERROR: Could not install packages due to an OSError: [Errno 2] No such file or "
                              "directory: 'C:\\\\x'\nHINT: This error might have occurred since this "
                              "system does not have Windows Long Path support enabled.", "path", ("260",)),
    "proxy login": (RETRIES + "'ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407 Proxy "
                    "Authentication Required'))': /simple/monai/", "proxy", ("wants a login", "HTTPS_PROXY")),
    "dead proxy": (RETRIES + "'ProxyError('Cannot connect to proxy.', NewConnectionError('refused'))': /simple/monai/",
                   "proxy", ("cannot be reached", "HTTPS_PROXY")),
    "inspected TLS": ("Looking in indexes: https://index.example/simple\n" + RETRIES + "'SSLError(SSLCertVerification"
                      "Error(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate "
                      "in certificate chain'))'", "certificate", ("https://index.example/simple", "root certificate")),
    "no network": (RETRIES + "'NewConnectionError(\"HTTPSConnection(host='index.example', port=443): Failed to "
                   "establish a new connection: [Errno -3] Temporary failure in name resolution\")': /simple/monai/\n"
                   "ERROR: No matching distribution found for monai>=1.6.1", "network", ("index.example", "wheels")),
    "mirror refuses": ("Looking in indexes: https://user:****@mirror.example/simple\nERROR: HTTP error 403 while "
                       "getting https://mirror.example/x.whl", "refused", ("403", "mirror.example")),
    "unwritable": ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: "
                   "'/opt/Slicer/lib/Python/x'\nConsider using the `--user` option or check the permissions.",
                   "permission", ("/opt/Slicer/lib/Python/x", "administrator")),
    "unwritable on Windows": ("ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: "
                              "'C:\\\\Program Files\\\\Slicer\\\\x'", "permission", ("Program Files",)),
    "file in use": ("ERROR: Could not install packages due to an OSError: [WinError 32] The process cannot access the "
                    "file because it is being used by another process: 'c10.dll'", "in use", ("Start Slicer again",)),
    "bundled package": (CONFLICT, "conflict", ("numpy==2.4.6 must stay", "needy 1.0: numpy<2")),
    "packages among themselves": (BETWEEN_PACKAGES, "conflict", ("a 1.0: c<2", "b 3.1: c>=2")),
    "wheel not in folder": ("Looking in links: /media/usb/wheels\nERROR: Could not find a version that satisfies the "
                            "requirement monai>=1.6.1 (from versions: none)\nERROR: No matching distribution found for "
                            "monai>=1.6.1", "missing wheel", ("folder holds no suitable file of monai",)),
    "no build for it": ("ERROR: Could not find a version that satisfies the requirement torch>=2.8 (from versions: "
                        "2.2.2)\nERROR: No matching distribution found for torch>=2.8",
                        "no version", ("torch", "arm64")),
    "other platform": ("ERROR: torch-2.13.0-cp312-cp312-win_amd64.whl is not a supported wheel on this platform.",
                       "wrong wheel", ("torch-2.13.0-cp312-cp312-win_amd64.whl",)),
    "changed download": ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "damaged",
                         ("damaged or changed",)),
    "compiler": ("error: subprocess-exited-with-error\nERROR: Failed building wheel for einops", "source only",
                 ("compiled",)),
    "memory": ("Collecting torch\nMemoryError", "killed", ("memory",)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_cause_is_told_with_what_to_do(case):
    output, kind, parts = CASES[case]
    reason = failureReason(output, 1)
    told = f"{reason.message} {reason.remedy}"
    assert reason.kind == kind, told
    for part in parts:
        assert part in told
    assert reason.message.endswith(".") and reason.remedy.endswith(".") and "exit" not in told


def test_a_killed_pip_says_nothing_itself():
    assert failureReason("Collecting torch\nDownloading torch", -9).kind == "killed"


def test_an_unknown_failure_shows_pips_own_line():
    reason = failureReason("Collecting x\nERROR: something new happened at https://me:word@index.example/\n", 1)
    assert reason.kind == "unknown" and "something new happened" in reason.message
    assert "me:word" not in reason.message
    assert failureReason("", 1).message


def test_addresses_are_shown_without_passwords():
    output = "Looking in indexes: https://me:word@mirror.example/simple, https://other.example/simple\nCollecting x\n"
    assert indexAddresses(output) == ["https://mirror.example/simple", "https://other.example/simple"]
    assert withoutCredentials("http://u:p@proxy:3128") == "http://proxy:3128"
