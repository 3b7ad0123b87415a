"""Compiled networks on disk: found again, never half there, never trusted when damaged, never too many."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from agunetr.cache_folder import cache_folder
from agunetr.inference.form_cache import FormCache

DATA = bytes(range(256)) * 9


def only_file(cache: FormCache) -> Path:
    (path,) = cache.folder.iterdir()
    return path


def test_what_is_kept_is_found_again_also_by_another_process(tmp_path):
    FormCache(tmp_path / "new" / "folder").keep("a", DATA)
    other = FormCache(tmp_path / "new" / "folder")
    assert other.read("a") == DATA and other.read("b") is None
    assert only_file(other).name == "a.compiled"


def test_keeping_again_replaces(tmp_path):
    cache = FormCache(tmp_path)
    cache.keep("a", DATA)
    cache.keep("a", memoryview(b"second"))
    assert cache.read("a") == b"second" and only_file(cache)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:40],
        lambda data: b"",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: b"something else entirely\n" + data,
        lambda data: data.replace(b"network 1", b"network 0"),
    ],
)
def test_a_damaged_file_is_thrown_away_and_the_log_says_so(tmp_path, caplog, damage):
    cache = FormCache(tmp_path)
    cache.keep("a", DATA)
    path = only_file(cache)
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING, "agunetr"):
        assert cache.read("a") is None
    assert "compiled again" in caplog.text and not path.exists()
    cache.keep("a", DATA)
    assert cache.read("a") == DATA


def test_the_ones_unused_for_longest_go_first(tmp_path):
    cache = FormCache(tmp_path, kept=3)
    for age, key in enumerate("cba"):
        cache.keep(key, DATA)
        os.utime(tmp_path / f"{key}.compiled", (1000 + age, 1000 + age))
    assert cache.read("c") == DATA  # used now, so that it is the newest
    cache.keep("d", DATA)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["a", "c", "d"]


def test_what_an_ended_process_left_unfinished_goes_after_a_day_and_nothing_else_does(tmp_path):
    left, working, foreign = (tmp_path / name for name in (".unfinished-left", ".unfinished-working", "notes.txt"))
    for path in (left, working, foreign):
        path.write_text("x")
    for path in (left, foreign):
        os.utime(path, (1000, 1000))
    FormCache(tmp_path, kept=1).keep("a", DATA)
    assert not left.exists() and working.exists() and foreign.exists()


def test_a_folder_that_cannot_be_written_to_is_mentioned_and_no_error(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = FormCache(tmp_path / "file" / "folder")
    with caplog.at_level(logging.WARNING, "agunetr"):
        cache.keep("a", DATA)
        assert "cannot be kept" in caplog.text
        assert cache.read("a") is None


def test_nothing_half_written_stays_where_the_disk_is_full(tmp_path, monkeypatch, caplog):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    cache = FormCache(tmp_path)
    with caplog.at_level(logging.WARNING, "agunetr"):
        cache.keep("a", DATA)
    assert "No space left" in caplog.text and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, Path("/x/agunetr")),
        ("linux", {}, Path("/people/me/.cache/agunetr")),
        ("darwin", {}, Path("/people/me/Library/Caches/AGUNETR")),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/AGUNETR/cache")),
        ("linux", {"AGUNETR_CACHE": "/named", "XDG_CACHE_HOME": "/x"}, Path("/named")),
    ],
)
def test_the_cache_lies_where_the_platform_keeps_caches(monkeypatch, platform, variables, expected):
    for variable in ("AGUNETR_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/people/me"))
    assert cache_folder() == expected


def test_a_user_without_a_home_has_no_cache_and_works(monkeypatch, caplog):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    for variable in ("AGUNETR_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with caplog.at_level(logging.WARNING, "agunetr"):
        cache = FormCache()
    assert "AGUNETR_CACHE" in caplog.text
    cache.keep("a", DATA)
    assert cache.read("a") is None
