"""The data set's download: checksum, resuming, safe unpacking; from a server on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agunetr.errors import InputError, OutputError
from agunetr_train.data.cases import MSD_SPLEEN, find_cases
from agunetr_train.data.msd_download import download_msd_spleen


def archive(members: dict[str, bytes]) -> bytes:
    """A tar file with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


NOISE = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(20_000))
WHOLE = archive(
    {
        f"{MSD_SPLEEN}/dataset.json": b'{"description": "Spleen Segmentation", "licence": "CC-BY-SA 4.0"}',
        f"{MSD_SPLEEN}/imagesTr/spleen_2.nii.gz": NOISE,
        f"{MSD_SPLEEN}/imagesTr/._spleen_2.nii.gz": b"a companion of macOS",
        f"{MSD_SPLEEN}/labelsTr/spleen_2.nii.gz": b"a mask",
    }
)


class Server(ThreadingHTTPServer):
    """Serves ``content`` under any path; ``asked`` holds the Range header of each request."""

    daemon_threads = True
    content = WHOLE
    knows_ranges = True
    breaks_after: int | None = None
    refuses: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{MSD_SPLEEN}.tar"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content, wanted = self.server.content, self.headers.get("Range", "")
        self.server.asked.append(wanted)
        if self.server.refuses:
            self.send_error(self.server.refuses)
            return
        first = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted and self.server.knows_ranges else 0
        if first and first >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # who found the disk full has left
            self.wfile.write(content[first : self.server.breaks_after])

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def fetch(server: Server, folder: Path, content: bytes = WHOLE) -> Path:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return download_msd_spleen(folder, lambda text: None, address=server.address, md5=md5)


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_it_is_downloaded_checked_unpacked_and_then_not_asked_for_again(server, tmp_path):
    said: list[str] = []
    md5 = hashlib.md5(WHOLE, usedforsecurity=False).hexdigest()
    folder = download_msd_spleen(tmp_path / "cache", said.append, address=server.address, md5=md5)
    assert left_in(tmp_path / "cache") == {MSD_SPLEEN}
    assert (folder / "imagesTr" / "spleen_2.nii.gz").read_bytes() == NOISE
    (case,) = find_cases(tmp_path / "cache").values()
    assert case.name == "spleen_2" and case.facts == {"origin": "Spleen Segmentation", "licence": "CC-BY-SA 4.0"}
    assert any(server.address in text for text in said) and any("MB are downloaded" in text for text in said)
    assert fetch(server, tmp_path / "cache") == folder and len(server.asked) == 1


def test_a_broken_download_goes_on_where_it_was(server, tmp_path):
    server.breaks_after = 300_000
    with pytest.raises(InputError, match=r"broke off after 0\.3 MB.*goes on from there"):
        fetch(server, tmp_path)
    assert left_in(tmp_path) == {f"{MSD_SPLEEN}.tar.part"}
    server.breaks_after = None
    fetch(server, tmp_path)
    assert server.asked == ["", "bytes=300000-"] and left_in(tmp_path) == {MSD_SPLEEN}


def test_a_server_without_ranges_sends_all_of_it_again(server, tmp_path):
    server.knows_ranges = False
    (tmp_path / f"{MSD_SPLEEN}.tar.part").write_bytes(b"what came before")
    fetch(server, tmp_path)
    assert left_in(tmp_path) == {MSD_SPLEEN}


def test_what_was_whole_already_is_not_sent_again(server, tmp_path):
    (tmp_path / f"{MSD_SPLEEN}.tar.part").write_bytes(WHOLE)
    fetch(server, tmp_path)
    assert server.asked == [f"bytes={len(WHOLE)}-"] and left_in(tmp_path) == {MSD_SPLEEN}


def test_a_wrong_checksum_is_refused_and_nothing_of_it_stays(server, tmp_path):
    server.content = WHOLE[:-1] + b"x"
    with pytest.raises(InputError, match=r"MD5 checksum \w{32} instead of \w{32}; it was removed"):
        fetch(server, tmp_path)
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("code", [403, 404, 503])
def test_a_refusal_names_the_address_and_the_code(server, tmp_path, code):
    server.refuses = code
    with pytest.raises(InputError, match=rf"refused {server.address} \({code} "):
        fetch(server, tmp_path)
    assert left_in(tmp_path) == set()


def test_nobody_listens(server, tmp_path):
    server.server_close()
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/x\.tar cannot be reached \("):
        download_msd_spleen(tmp_path, print, address="http://127.0.0.1:9/x.tar", md5="0")


@pytest.mark.parametrize(
    "members",
    [
        {f"{MSD_SPLEEN}/imagesTr/a.nii.gz": b"a", "../outside.txt": b"b"},
        {f"{MSD_SPLEEN}/imagesTr/a.nii.gz": b"a", f"{MSD_SPLEEN}/../../outside.txt": b"b"},
        {"something/else.txt": b"no data set"},
    ],
)
def test_an_unsafe_or_other_archive_leaves_nothing(server, tmp_path, members):
    server.content = archive(members)
    with pytest.raises(InputError, match=rf"{MSD_SPLEEN}.tar (cannot be unpacked|does not hold)"):
        fetch(server, tmp_path / "cache", server.content)
    assert left_in(tmp_path / "cache") == {f"{MSD_SPLEEN}.tar"} and left_in(tmp_path) == {"cache"}


def test_an_archive_that_somebody_brought_is_taken(server, tmp_path):
    (tmp_path / f"{MSD_SPLEEN}.tar").write_bytes(WHOLE)
    assert (fetch(server, tmp_path) / "labelsTr").is_dir() and server.asked == []


def test_a_damaged_archive_that_somebody_brought_is_refused_and_kept(server, tmp_path):
    (tmp_path / f"{MSD_SPLEEN}.tar").write_bytes(WHOLE[:1000])
    with pytest.raises(InputError, match="is not the archive"):
        fetch(server, tmp_path)
    assert left_in(tmp_path) == {f"{MSD_SPLEEN}.tar"}


def test_a_full_disk_is_told_before_anything_is_sent(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(OutputError, match="full"):
        fetch(server, tmp_path)
    assert left_in(tmp_path) == set()


def test_monai_still_knows_address_and_checksum():
    """Read, not imported: monai.apps takes many seconds."""
    source = Path(importlib.util.find_spec("monai").origin).parent / "apps" / "datasets.py"
    text = source.read_text(encoding="utf-8")
    assert re.search(rf'resource = {{.*"{MSD_SPLEEN}": "https://[^"]*/{MSD_SPLEEN}\.tar"', text, re.DOTALL)
    assert re.search(rf'md5 = {{.*"{MSD_SPLEEN}": "410d4a301da4e5b2f6f86ec3ddba524e"', text, re.DOTALL)
