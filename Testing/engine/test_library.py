"""The library: what is found, and that an import brings in a whole, safe model or nothing at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from changed_bundles import Mine, change_metadata
from tiny_models import save_tiny

from agunetr.errors import ModelError
from agunetr.models import archive
from agunetr.models.bundle import ModelBundle
from agunetr.models.library import FOLDER_VARIABLE, ModelLibrary, default_user_folder, embedded_folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return save_tiny(tmp_path_factory.mktemp("exported"), "mine")


@pytest.fixture
def copy(exported: ModelBundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.folder, tmp_path / "copy"))


@pytest.fixture
def library(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelLibrary:
    embedded = tmp_path_factory.mktemp("embedded")
    save_tiny(embedded, "compact-base", "unetr", seed=1)
    return ModelLibrary(tmp_path / "user models", embedded)


def zipped(folder: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as writer:
        for path in sorted(folder.rglob("*")):
            writer.write(path, prefix + path.relative_to(folder).as_posix())
    return target


def add_entry(target: Path, name: str, data: bytes = b"x", mode: int = 0) -> Path:
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as writer:
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = mode << 16
        writer.writestr(info, data)
    return target


def refusal(library: ModelLibrary, source: Path) -> str:
    with pytest.raises(ModelError) as caught:
        library.import_model(source)
    message = caught.value.message
    assert message.endswith(".") and "\n" not in message and caught.value.remedy
    assert not list(library.user_folder.iterdir()), "something was half imported"
    assert ".import-" not in message, "the user never saw that folder"
    return message


def test_import_list_find_remove(library: ModelLibrary, exported: ModelBundle) -> None:
    assert [model.name for model in library.list()] == ["compact-base"]
    assert not library.user_folder.exists()
    imported = library.import_model(exported.folder)
    assert imported.checksum == exported.checksum and imported.folder == library.user_folder / "mine"
    assert [(model.name, model.embedded) for model in library.list()] == [("compact-base", True), ("mine", False)]
    assert library.broken() == []
    assert library.find("mine") == imported
    assert library.find(exported.folder).folder == exported.folder
    assert library.find(str(exported.folder)).name == "mine"
    library.remove("mine")
    assert [model.name for model in library.list()] == ["compact-base"]
    assert not list(library.user_folder.iterdir())


@pytest.mark.parametrize("prefix", ["", "mine/"])
def test_import_from_a_zip(library: ModelLibrary, exported: ModelBundle, tmp_path: Path, prefix: str) -> None:
    source = zipped(exported.folder, tmp_path / "модель.zip", prefix)
    add_entry(source, "__MACOSX/._x")
    add_entry(source, prefix + ".DS_Store")
    imported = library.import_model(source)
    assert imported.checksum == exported.checksum and imported.network().gate_names == ("enc1", "enc2")
    files = {path.name for path in imported.folder.rglob("*") if path.is_file()}
    assert files == {"metadata.json", "inference.json", "model.safetensors", "README.md"}


def test_unknown_names_are_answered_with_what_there_is(library: ModelLibrary, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        library.find("compact-bse")
    assert "compact-bse" in caught.value.message and "Did you mean compact-base?" in caught.value.remedy
    with pytest.raises(ModelError, match="does not exist"):
        library.find(tmp_path / "no" / "where")
    with pytest.raises(ModelError, match="No model is installed"):
        ModelLibrary(tmp_path / "a", tmp_path / "b").find("x")


def test_names_are_taken_once(library: ModelLibrary, exported: ModelBundle, tmp_path: Path) -> None:
    library.import_model(exported.folder)
    with pytest.raises(ModelError, match="is there already"):
        library.import_model(exported.folder)
    for name in ("mine", "MINE", "compact-base"):
        parent = tmp_path / f"other-{name}"
        parent.mkdir()
        other = save_tiny(parent, name, seed=9)
        with pytest.raises(ModelError, match="already a model named"):
            library.import_model(other.folder)
    assert [path.name for path in library.user_folder.iterdir()] == ["mine"]


def test_embedded_models_stay(library: ModelLibrary) -> None:
    with pytest.raises(ModelError, match="came with AGUNETR"):
        library.remove("compact-base")
    with pytest.raises(ModelError, match="no imported model"):
        library.remove("../../home")
    assert library.find("compact-base").embedded


def test_broken_folders_are_told_and_can_be_removed(library: ModelLibrary, exported: ModelBundle) -> None:
    library.import_model(exported.folder)
    shutil.copytree(library.user_folder / "mine", library.user_folder / "twin")
    (library.user_folder / "empty").mkdir()
    weights = library.user_folder / "mine" / "models/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert [model.name for model in library.list()] == ["compact-base", "mine"]  # the twin
    reasons = {folder.name: reason for folder, reason in library.broken()}
    assert "truncated" in reasons["mine"] and "no configs/metadata.json" in reasons["empty"]
    with pytest.raises(ModelError, match="no configs/metadata.json"):
        library.find("empty")
    library.remove("empty")
    assert [folder.name for folder, _ in library.broken()] == ["mine"]


def test_two_folders_with_one_name(library: ModelLibrary, exported: ModelBundle) -> None:
    library.import_model(exported.folder)
    shutil.copytree(library.user_folder / "mine", library.user_folder / "twin")
    ((folder, reason),) = library.broken()
    assert folder.name == "twin" and "has already" in reason


def test_changed_files_are_not_imported(library: ModelLibrary, copy: Path) -> None:
    (copy / "docs/README.md").write_text("other words", encoding="utf-8")
    assert "docs/README.md has a wrong checksum" in refusal(library, copy)
    (copy / "docs/README.md").unlink()
    assert "docs/README.md is missing" in refusal(library, copy)


def test_what_is_no_model_is_not_imported(library: ModelLibrary, tmp_path: Path) -> None:
    assert "it does not exist" in refusal(library, tmp_path / "nothing")
    text = tmp_path / "letter.txt"
    text.write_text("Dear reader", encoding="utf-8")
    assert "neither a model folder nor a zip" in refusal(library, text)
    (tmp_path / "empty").mkdir()
    assert "no configs/metadata.json" in refusal(library, tmp_path / "empty")
    assert "no configs/metadata.json" in refusal(library, add_entry(tmp_path / "other.zip", "readme.txt"))


def test_damaged_zips(library: ModelLibrary, exported: ModelBundle, tmp_path: Path) -> None:
    good = zipped(exported.folder, tmp_path / "good.zip").read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(good[: len(good) // 2])
    assert "truncated" in refusal(library, cut)
    flipped = bytearray(good)
    flipped[len(good) // 2 : len(good) // 2 + 64] = bytes(64)
    cut.write_bytes(flipped)
    assert "damaged" in refusal(library, cut)


@pytest.mark.parametrize(
    ("name", "mode", "sentence"),
    [
        ("../outside.txt", 0, "leads out"),
        ("mine/../../outside.txt", 0, "leads out"),
        ("/tmp/outside.txt", 0, "leads out"),
        ("C:/outside.txt", 0, "leads out"),
        ("..\\outside.txt", 0, "leads out"),
        ("docs/link", stat.S_IFLNK | 0o777, "is a link"),
        ("docs/pipe", stat.S_IFIFO | 0o666, "no regular file"),
        ("scripts/run.py", 0, "no part of a model"),
        ("configs/logging.conf", 0, "no part of a model"),
        ("models/model.ts", 0, "no part of a model"),
    ],
)
def test_hostile_zip_entries(
    library: ModelLibrary, exported: ModelBundle, tmp_path: Path, name: str, mode: int, sentence: str
) -> None:
    source = add_entry(zipped(exported.folder, tmp_path / "in.zip"), name, b"/etc/passwd", mode)
    assert sentence in refusal(library, source)
    assert {path.name for path in tmp_path.iterdir()} == {"in.zip", "user models"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_twice_and_several_models(library: ModelLibrary, exported: ModelBundle, tmp_path: Path) -> None:
    source = zipped(exported.folder, tmp_path / "in.zip")
    assert "twice" in refusal(library, add_entry(source, "docs/README.md"))
    source = zipped(exported.folder, tmp_path / "two.zip", "one/")
    assert "several models" in refusal(library, add_entry(source, "two/configs/metadata.json"))
    source = zipped(exported.folder, tmp_path / "deep.zip", "a/b/")
    assert "too deep" in refusal(library, source)
    source = zipped(exported.folder, tmp_path / "beside.zip", "one/")
    assert "beside the model" in refusal(library, add_entry(source, "docs/README.md"))


def test_bombs(library: ModelLibrary, exported: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = shutil.copytree(exported.folder, tmp_path / "without")
    (without / "models/model.safetensors").unlink()
    source = zipped(without, tmp_path / "bomb.zip")
    assert "times its size" in refusal(library, add_entry(source, "models/model.safetensors", bytes(8 << 20)))
    source = add_entry(tmp_path / "long.zip", "configs/metadata.json", os.urandom(5 << 20))
    assert "larger than a model's may be" in refusal(library, source)
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as writer:
        for number in range(archive.MAX_ENTRIES + 1):
            writer.writestr(f"docs/{number}", b"")
    assert "more than 200 files" in refusal(library, tmp_path / "many.zip")


def test_a_zip_that_lies_about_sizes(library: ModelLibrary, exported: ModelBundle, tmp_path: Path) -> None:
    source = zipped(exported.folder, tmp_path / "in.zip")
    data = source.read_bytes()
    with zipfile.ZipFile(source) as reader:
        size = reader.getinfo("models/model.safetensors").file_size
    source.write_bytes(data.replace(size.to_bytes(4, "little"), (size - 5000).to_bytes(4, "little")))
    refusal(library, source)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_and_pipes_in_folders(library: ModelLibrary, copy: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret", encoding="utf-8")
    card = copy / "docs/README.md"
    card.unlink()
    card.symlink_to(secret)
    assert "'docs/README.md' is a link" in refusal(library, copy)
    card.unlink()
    os.mkfifo(card)
    assert "no regular file" in refusal(library, copy)
    card.unlink()
    (copy / "docs").rename(tmp_path / "elsewhere")
    (copy / "docs").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refusal(library, copy)


def test_pickles_are_not_opened(library: ModelLibrary, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    torch.save(Mine(trace), tmp_path / "model.pt")
    torch.save(Mine(trace), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("model.pt", "old.pth"):
        assert "pickled checkpoint" in refusal(library, tmp_path / name)
    only = tmp_path / "only"
    (only / "models").mkdir(parents=True)
    shutil.copy(tmp_path / "model.pt", only / "models")
    assert "only has pickled weights" in refusal(library, only)
    assert not trace.exists()


def test_model_pt_comes_along_only_when_it_is_harmless(library: ModelLibrary, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    folder = save_tiny(tmp_path, "withpt", torch_file=True).folder
    good = (folder / "models/model.pt").read_bytes()
    for content in (Mine(trace), {"weights": torch.zeros(2), "extra": Mine(trace)}):
        torch.save(content, folder / "models/model.pt")
        digest = hashlib.sha256((folder / "models/model.pt").read_bytes()).hexdigest()
        change_metadata(folder, lambda section, digest=digest: section["sha256"].update({"models/model.pt": digest}))
        assert "holds pickled code" in refusal(library, folder)
    (folder / "models/model.pt").write_bytes(b"nothing")
    assert "no plain torch checkpoint" in refusal(library, folder)
    assert not trace.exists()
    (folder / "models/model.pt").write_bytes(good)
    digest = hashlib.sha256(good).hexdigest()
    change_metadata(folder, lambda section: section["sha256"].update({"models/model.pt": digest}))
    assert (library.import_model(folder).folder / "models/model.pt").is_file()


def test_files_without_a_checksum_are_refused(library: ModelLibrary, copy: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, copy / "models/model.pt")
    assert "models/model.pt has no checksum" in refusal(library, copy)


def test_weights_that_only_the_network_refuses(library: ModelLibrary, copy: Path) -> None:
    import safetensors.torch

    path = copy / "models/model.safetensors"
    state = safetensors.torch.load_file(path)
    state.pop(next(key for key in state if key.endswith("conv2.conv.weight")))
    safetensors.torch.save_file(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change_metadata(copy, lambda section: section["sha256"].update({"models/model.safetensors": digest}))
    assert "another network" in refusal(library, copy)


def test_a_folder_that_cannot_be_written(exported: ModelBundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    library = ModelLibrary(tmp_path / "file" / "models", tmp_path)
    with pytest.raises(ModelError, match="cannot be stored") as caught:
        library.import_model(exported.folder)
    assert FOLDER_VARIABLE in caught.value.remedy


def test_where_the_models_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert default_user_folder() == tmp_path == ModelLibrary().user_folder
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert default_user_folder().name == "models" and default_user_folder().is_absolute()
    assert embedded_folder().name in ("Models", "embedded")


def test_embedded_models_are_whole() -> None:
    """Every model that ships is usable, small, and has a card with its data, scores and limits."""
    library = ModelLibrary("/nonexistent")
    assert library.broken() == []
    for model in library.list():
        assert model.embedded and model.size_bytes <= 20e6
        described = json.loads(json.dumps(model.to_dict()))
        assert described["training_data"] and described["recipe"] and described["limits"] and described["licence"]
        assert described["scores"]["cases"], "no scores on kept-out patients"
        assert model.network().gate_names == model.gate_names
