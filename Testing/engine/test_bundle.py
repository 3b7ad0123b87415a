"""Model folders: what is saved comes back."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from changed_bundles import WEIGHTS
from tiny_models import save_tiny, tiny_config, tiny_network

from agunetr.errors import ModelError, OutputError
from agunetr.models.bundle import ModelBundle, load_bundle, save_bundle, update_bundle
from agunetr.models.metadata import ModelDescription, check_name
from agunetr.networks.unetr import GatedUNETR


def same_weights(first: GatedUNETR, second: GatedUNETR, tolerance: float = 0.0) -> bool:
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(
        torch.allclose(one[key], two[key], rtol=tolerance, atol=1e-7) for key in one
    )


def test_layout_and_description(saved: ModelBundle) -> None:
    files = {path.relative_to(saved.folder).as_posix() for path in saved.folder.rglob("*") if path.is_file()}
    assert files == {"configs/metadata.json", "configs/inference.json", WEIGHTS, "models/model.pt", "docs/README.md"}
    assert (saved.name, saved.title, saved.variant) == ("tiny", "Tiny agunetr-v2", "agunetr-v2")
    assert saved.network_config == tiny_config(gamma_start=0.5)
    assert saved.spacing_mm == (4.0, 4.0, 4.0) and saved.intensity_range == (-175.0, 250.0)
    assert saved.window == (32, 32, 32) and saved.gate_names == ("enc1", "enc2")
    assert saved.checksum == hashlib.sha256((saved.folder / WEIGHTS).read_bytes()).hexdigest()
    assert saved.size_bytes == sum(path.stat().st_size for path in saved.folder.rglob("*") if path.is_file())
    assert saved.licence == "CC0-1.0" and not saved.embedded
    assert json.loads(json.dumps(saved.to_dict()))["mean_dice"] == 0.5
    assert load_bundle(str(saved.folder)) == saved


@pytest.mark.parametrize("variant", ["unetr", "agunetr-v1", "agunetr-v2", "agunetr-deep"])
def test_every_variant_comes_back(variant: str, tmp_path: Path) -> None:
    network = tiny_network(variant, seed=3)
    exact = save_tiny(tmp_path, "exact", variant, seed=3, half=False).network()
    half = save_tiny(tmp_path, "half", variant, seed=3).network()
    assert same_weights(network, exact)
    assert same_weights(network, half, tolerance=1e-3)
    assert not half.training and next(half.parameters()).dtype == torch.float32
    if network.gate_names == ("enc1", "enc2"):  # once is enough: equal weights compute equal things
        image = torch.rand(1, 1, 32, 32, 32)
        with torch.inference_mode():
            logits = network(image)
            assert torch.equal(logits, exact(image))
            assert torch.allclose(logits, half(image), atol=0.05)


def test_half_is_half_and_saving_is_repeatable(tmp_path: Path) -> None:
    half, full = save_tiny(tmp_path, "half"), save_tiny(tmp_path, "full", half=False)
    half_size, full_size = ((model.folder / WEIGHTS).stat().st_size for model in (half, full))
    assert half_size < 0.55 * full_size
    assert save_tiny(tmp_path, "again").checksum == half.checksum


def test_torch_file_holds_the_same_weights(saved: ModelBundle) -> None:
    state = torch.load(saved.folder / "models/model.pt", weights_only=True)
    network = saved.network()
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


def test_model_card_says_what_the_metadata_says(saved: ModelBundle) -> None:
    card = saved.card_path.read_text(encoding="utf-8")
    for part in ("Research use only", "CC0-1.0", "drawn by AGUNETR", "phantom-1", "Mean Dice: 0.500", "Knows nothing."):
        assert part in card
    assert "| phantom-1 | 0.5 | undefined |" in card  # never 0
    unscored = ModelDescription("x", "X", tiny_config("unetr"), (1, 1, 1), (-175, 250))
    from agunetr.models.card import model_card

    assert "Nothing was measured" in model_card(unscored)


def test_metadata_has_what_monai_wants(saved: ModelBundle) -> None:
    values = json.loads((saved.folder / "configs/metadata.json").read_text(encoding="utf-8"))
    wanted = "schema version changelog monai_version pytorch_version numpy_version required_packages_version task"
    assert not set(f"{wanted} description authors copyright network_data_format".split()) - values.keys()
    assert values["network_data_format"]["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "spleen"}


def test_update_keeps_weights_and_rewrites_card(copy: Path) -> None:
    before = load_bundle(copy)
    after = update_bundle(before, scores={"cases": [{"case": "p", "dice": 0.94}]}, title="Änderung")
    assert after.checksum == before.checksum and after.scores["cases"][0]["dice"] == 0.94
    assert "0.94" in after.card_path.read_text(encoding="utf-8") and "Änderung" in after.card_path.read_text(
        encoding="utf-8"
    )
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]
    with pytest.raises(ValueError, match="spacing_mm"):
        update_bundle(after, spacing_mm=(1, 1, 1))


def test_saving_never_overwrites_and_leaves_nothing_behind(saved: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        save_tiny(saved.folder.parent)
    with pytest.raises(OutputError, match="does not exist"):
        save_tiny(tmp_path / "no" / "such")
    network = tiny_network()
    with torch.no_grad():
        next(network.parameters())[:] = float("nan")
    arguments = dict(name="bad", title="Bad", spacing_mm=(1, 1, 1), intensity_range=(0, 1))
    with pytest.raises(ModelError, match="not finite"):
        save_bundle(tmp_path / "bad", network, **arguments)
    with torch.no_grad():
        next(network.parameters())[:] = 1e6
    with pytest.raises(ModelError, match="too large for 16 bits"):
        save_bundle(tmp_path / "bad", network, **arguments)
    assert not list(tmp_path.iterdir())
    assert save_bundle(tmp_path / "bad", network, half=False, **arguments).name == "bad"


def test_an_interrupted_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("agunetr.models.saving.load_bundle", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_tiny(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".hidden", "a\\b", "x" * 65, "nul", "COM1.x", "end.", "a b", "base_enc1", 3]
)
def test_names_that_cannot_be_files_are_refused(name: object) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(name)


@pytest.mark.parametrize("name", ["compact-base", "a", "v2_seed0.fold1", "A" * 64])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("spacing_mm", (1, 1)),
        ("spacing_mm", (1, 1, 0)),
        ("spacing_mm", (1, 1, float("nan"))),
        ("intensity_range", (250, -175)),
        ("title", "two\nlines"),
        ("title", "\x1b[31m"),
        ("scores", {"cases": [{"dice": 1}]}),
        ("scores", {"dice": float("nan")}),
        ("recipe", {"object": object()}),
        ("training_data", [{"name": "no licence"}]),
        ("limits", "one sentence"),
    ],
)
def test_wrong_arguments_are_named(argument: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=argument.split("_")[0]):
        save_tiny(tmp_path, **{argument: value})
    assert not list(tmp_path.iterdir())


def test_paths_with_spaces_and_other_alphabets(tmp_path: Path) -> None:
    folder = tmp_path / "données CT 脾臓"
    folder.mkdir()
    assert load_bundle(save_tiny(folder).folder).network().gate_names == ("enc1", "enc2")


def test_listing_needs_no_torch(saved: ModelBundle) -> None:
    code = (
        "import sys; from agunetr.models.bundle import load_bundle; load_bundle(sys.argv[1]); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(saved.folder)], check=True)
