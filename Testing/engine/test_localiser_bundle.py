"""The localiser is a model folder of its own kind: found where it belongs, and never taken for a model."""

from __future__ import annotations

import shutil

import pytest
from tiny_models import save_tiny

from agunetr.errors import ModelError
from agunetr.inference import organ_search
from agunetr.inference.organ_search import OrganSearch
from agunetr.models.bundle import load_bundle, update_bundle
from agunetr.models.library import ModelLibrary
from agunetr.models.localiser import installed_localiser, localiser_folder
from agunetr.models.metadata import LOCALISER


@pytest.fixture
def folder(tmp_path):
    parent = tmp_path / "localisers"
    parent.mkdir()
    save_tiny(parent, "where", "unetr", role=LOCALISER)
    return parent


def test_the_role_is_kept_and_told_in_the_card(folder):
    bundle = load_bundle(folder / "where")
    assert bundle.role == LOCALISER
    changed = update_bundle(bundle, limits=["Knows less."])
    assert changed.role == LOCALISER and changed.checksum == bundle.checksum
    card = changed.card_path.read_text(encoding="utf-8")
    assert "for the models that segment it" in card and "--model where" not in card and "--no-localise" in card


def test_an_unknown_role_is_refused(tmp_path):
    with pytest.raises(ValueError, match="role"):
        save_tiny(tmp_path, role="registration")


def test_it_is_found_in_its_folder(folder, tmp_path):
    found = installed_localiser(folder)
    assert found.name == "where" and found.embedded
    assert installed_localiser(tmp_path / "nowhere") is None
    assert localiser_folder().name in ("Localiser", "localisers")


def test_it_is_no_model_to_list_find_or_import(folder, tmp_path):
    library = ModelLibrary(tmp_path / "mine", tmp_path / "embedded")
    for refused in (library.find, library.import_model):
        with pytest.raises(ModelError, match="localiser"):
            refused(folder / "where")
    assert library.list() == []
    shutil.copytree(folder / "where", tmp_path / "mine" / "where", dirs_exist_ok=True)
    assert library.list() == [] and "localiser" in library.broken()[0][1]


def test_a_model_in_the_localisers_place_and_a_damaged_localiser_are_told(folder, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    save_tiny(other, "aaa")
    with pytest.raises(ModelError, match="no localiser"):
        installed_localiser(other)
    weights = folder / "where" / "models" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    monkeypatch.setattr(organ_search, "installed_localiser", lambda: installed_localiser(folder))
    search = OrganSearch.installed()
    assert search.localiser is None
    assert "cannot be used" in search.absence and "where" in search.absence
