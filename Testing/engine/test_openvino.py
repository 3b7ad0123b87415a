"""OpenVINO gives what PyTorch gives, gate maps too, and converts a model once for all processes."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bright_scan import bright_scan
from tiny_models import save_tiny, tiny_network

from agunetr.errors import DeviceError, MemoryExhausted, ModelError
from agunetr.inference import openvino_backend, openvino_conversion, openvino_runtime
from agunetr.inference.form_cache import FormCache
from agunetr.inference.openvino_check import AnswerCheck
from agunetr.inference.openvino_runtime import EngineFault, first_reason, openvino_fault
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.inference.torch_backend import TorchBackend
from agunetr.networks.with_maps import WithMaps

SMALL = (16, 16, 16)

installed = pytest.mark.skipif(openvino_fault() != "", reason=f"OpenVINO: {openvino_fault()}")


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """A tiny gated model of small windows."""
    network = tiny_network("agunetr-v2", window=SMALL)
    return save_tiny(tmp_path_factory.mktemp("gated"), network=network)


@pytest.fixture(scope="module")
def kept_once(gated, tmp_path_factory):
    """A cache with both forms of the model; not to be changed."""
    folder = tmp_path_factory.mktemp("kept")
    backend = openvino_backend.OpenVinoBackend(gated, cache=FormCache(folder))
    backend.prepare()
    backend.prepare(("enc1",))
    return folder


@pytest.fixture
def kept(kept_once, tmp_path):
    """The same for a test to change."""
    return Path(shutil.copytree(kept_once, tmp_path / "kept"))


@pytest.fixture
def conversions(monkeypatch):
    """The gates of every conversion that the test causes."""
    gates_of_each = []
    convert = openvino_conversion.convert

    def counted(network, window, gates=()):
        gates_of_each.append(tuple(gates))
        return convert(network, window, gates)

    monkeypatch.setattr(openvino_conversion, "convert", counted)
    return gates_of_each


def windows(count=1, edges=SMALL, seed=5):
    return torch.rand((count, 1, *edges), generator=torch.Generator().manual_seed(seed))


@installed
@pytest.mark.parametrize(
    ("variant", "edges"), [("unetr", SMALL), ("agunetr-v1", (16, 32, 48)), ("agunetr-v2", (32, 48, 16))]
)
def test_the_answers_are_those_of_pytorch_gate_maps_too(variant, edges):
    network = tiny_network(variant, window=edges)
    seen = windows(2, edges)
    backend = openvino_backend.OpenVinoBackend(network)
    expected, expected_maps = TorchBackend(tiny_network(variant, window=edges)).predict(seen, network.gate_names)
    logits, maps = backend.predict(seen, network.gate_names)
    assert logits.shape == expected.shape and logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)
    assert (logits.argmax(1) != expected.argmax(1)).sum() <= 1e-4 * expected.argmax(1).sum()
    assert list(maps) == list(network.gate_names)
    for gate in network.gate_names:
        torch.testing.assert_close(maps[gate], expected_maps[gate], rtol=0, atol=1e-4)


@installed
def test_an_answer_stays_when_the_next_window_is_computed(gated, kept):
    backend = openvino_backend.OpenVinoBackend(gated, cache=FormCache(kept))
    one, other = windows(seed=1), windows(seed=2)
    first, _ = backend.predict(one)
    kept = first.clone()
    second, _ = backend.predict(other)
    assert torch.equal(first, kept) and not torch.equal(first, second)
    both, _ = backend.predict(torch.cat([one, other]))
    assert torch.equal(both, torch.cat([first, second]))
    stretched, _ = backend.predict(one.expand(2, -1, -1, -1, -1).transpose(2, 4).transpose(2, 4))
    assert torch.equal(stretched[1:], first)


@installed
def test_maps_are_converted_only_when_asked_for_and_a_later_start_converts_nothing(gated, tmp_path, conversions):
    cache = FormCache(tmp_path)
    backend = openvino_backend.OpenVinoBackend(gated, cache=cache)
    assert conversions == []
    backend.prepare()
    logits, nothing = backend.predict(windows())
    assert conversions == [()] and nothing == {}
    _, maps = backend.predict(windows(), ("enc2",))
    assert conversions == [(), ("enc1", "enc2")] and list(maps) == ["enc2"]
    backend.predict(windows(), ("enc1",))

    later = openvino_backend.OpenVinoBackend(gated, cache=FormCache(tmp_path))
    later.prepare(("enc1",))
    same_logits, _ = later.predict(windows())
    _, same_maps = later.predict(windows(), ("enc2",))
    assert len(conversions) == 2
    assert torch.equal(same_logits, logits) and torch.equal(same_maps["enc2"], maps["enc2"])


@installed
def test_the_weights_are_not_even_read_at_a_later_start(gated, kept, monkeypatch):
    monkeypatch.setattr(type(gated), "network", lambda self: pytest.fail("the network was built"))
    openvino_backend.OpenVinoBackend(gated, cache=FormCache(kept)).prepare(("enc2",))


@installed
def test_a_damaged_compiled_form_is_made_again(gated, kept, conversions, caplog):
    cache = FormCache(kept)
    backend = openvino_backend.OpenVinoBackend(gated, cache=cache)
    expected, _ = backend.predict(windows())
    assert conversions == []
    path = cache.folder / f"{backend._key(())}.compiled"
    path.write_bytes(path.read_bytes()[:-7])
    with caplog.at_level(logging.WARNING, "agunetr"):
        logits, _ = openvino_backend.OpenVinoBackend(gated, cache=cache).predict(windows())
    assert "checksum" in caplog.text and torch.equal(logits, expected) and conversions == [()]

    # A right checksum of something that OpenVINO cannot read.
    cache.keep(path.stem, b"no compiled network at all")
    with caplog.at_level(logging.WARNING, "agunetr"):
        logits, _ = openvino_backend.OpenVinoBackend(gated, cache=cache).predict(windows())
    assert "does not read it" in caplog.text and torch.equal(logits, expected) and conversions == [(), ()]
    openvino_backend.OpenVinoBackend(gated, cache=cache).prepare()
    assert len(conversions) == 2


@installed
def test_other_weights_precisions_versions_and_cpus_have_forms_of_their_own(gated, tmp_path, monkeypatch):
    def key(bundle=gated, precision="exact", gates=()):
        backend = openvino_backend.OpenVinoBackend(bundle, cache=FormCache(tmp_path))
        backend.precision = precision
        return backend._key(gates)

    other = save_tiny(tmp_path, "other", network=tiny_network("agunetr-v2", seed=9, window=SMALL))
    keys = [key(), key(precision="fast"), key(gates=("enc1", "enc2")), key(other)]
    assert key() == keys[0]
    for name, value in (("openvino_version", "1.0"), ("cpu_name", "Another CPU"), ("cpu_capabilities", ("FP32",))):
        with monkeypatch.context() as patched:
            patched.setattr(openvino_runtime, name, lambda value=value: value)
            keys.append(key())
    with monkeypatch.context() as patched:
        patched.setattr(torch, "__version__", "1.0")
        keys.append(key())
    assert len(set(keys)) == len(keys)


@installed
def test_windows_and_gates_that_do_not_fit_are_refused(gated, tmp_path):
    backend = openvino_backend.OpenVinoBackend(gated, cache=FormCache(tmp_path))
    for shape in ((1, 1, 16, 16, 32), (1, 2, *SMALL), SMALL, (0, 1, *SMALL)):
        with pytest.raises(ValueError, match="windows"):
            backend.predict(torch.zeros(shape))
    with pytest.raises(ModelError, match="enc4.*enc1, enc2"):
        backend.predict(windows(), ("enc4",))
    with pytest.raises(ValueError, match="precision"):
        openvino_backend.OpenVinoBackend(gated, "auto")
    assert not list(tmp_path.iterdir())


@installed
def test_exact_and_fast_are_told_to_openvino(monkeypatch):
    monkeypatch.setattr(openvino_runtime, "cpu_capabilities", lambda: ("BF16", "FP32"))
    assert openvino_runtime.settings("exact", 3)["INFERENCE_PRECISION_HINT"] == "f32"
    assert openvino_runtime.settings("fast", 3)["INFERENCE_PRECISION_HINT"] == "bf16"
    assert openvino_runtime.settings("fast", 3)["INFERENCE_NUM_THREADS"] == 3
    monkeypatch.setattr(openvino_runtime, "cpu_capabilities", lambda: ("FP32",))
    with pytest.raises(EngineFault, match="bfloat16.*exact"):
        openvino_runtime.settings("fast", 3)


@installed
def test_openvino_computes_as_exactly_and_in_as_many_threads_as_it_was_told(gated, kept):
    backend = openvino_backend.OpenVinoBackend(gated, cache=FormCache(kept))
    backend.prepare()
    compiled = backend._forms[()].get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("INFERENCE_NUM_THREADS") == torch.get_num_threads()
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


@installed
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("Exception from src/core:1:\nException from src/x:2:\nNo such operator."), EngineFault),
        (NotImplementedError(), EngineFault),
        (MemoryError(), MemoryExhausted),
        (RuntimeError("Exception from src/core:1:\nstd::bad_alloc"), MemoryExhausted),
    ],
)
def test_a_failing_conversion_is_a_named_error(gated, tmp_path, monkeypatch, error, expected):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(openvino_conversion, "convert", fail)
    with pytest.raises(expected) as raised:
        openvino_backend.OpenVinoBackend(gated, cache=FormCache(tmp_path)).prepare()
    assert raised.value.remedy and "Exception from" not in raised.value.message


@installed
def test_a_compiled_network_that_computes_something_else_is_neither_used_nor_kept(gated, tmp_path, monkeypatch):
    convert = openvino_conversion.convert
    other = tiny_network("agunetr-v2", seed=9, window=SMALL)
    monkeypatch.setattr(openvino_conversion, "convert", lambda network, *rest: convert(other, *rest))
    with pytest.raises(EngineFault, match="differs from PyTorch's by"):
        openvino_backend.OpenVinoBackend(gated, cache=FormCache(tmp_path)).prepare()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("precision", "noise", "passes"), [
    ("exact", 1e-4, True), ("exact", 3e-3, False), ("fast", 3e-3, True), ("fast", 0.3, False), ("fast", np.nan, False),
])  # fmt: skip
def test_answers_may_differ_by_rounding_only(precision, noise, passes):
    network = tiny_network("agunetr-v2", window=SMALL)
    check = AnswerCheck(network, SMALL, ("enc1", "enc2"), precision)
    with torch.inference_mode():
        answers = WithMaps(network, ("enc1", "enc2"))(check.input)
        last = answers[-1]
        answers = [*answers[:-1], last * (1 + noise)]
    if passes:
        check.compare(answers)
    else:
        with pytest.raises(EngineFault):
            check.compare(answers)


@installed
def test_weights_that_changed_are_the_models_fault_and_not_the_engines(tmp_path):
    bundle = save_tiny(tmp_path, network=tiny_network("unetr", window=SMALL))
    (bundle.folder / "models" / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(ModelError, match="checksum"):
        openvino_backend.OpenVinoBackend(bundle, cache=FormCache(tmp_path / "cache")).prepare()


@installed
def test_the_segmenter_gives_the_same_masks_and_maps_with_both_engines(gated, kept_once, monkeypatch, tmp_path):
    monkeypatch.setenv("AGUNETR_CACHE", str(tmp_path))
    shutil.copytree(kept_once, tmp_path / "openvino")
    options = dict(
        device="cpu", precision="exact", attention=("all",), largest_component=False, fill_holes=False, overlap=0.25
    )
    segmenter, scan = Segmenter(), bright_scan()
    of_torch = segmenter.segment(scan, gated, options=SegmentOptions(engine="torch", **options))
    of_openvino = segmenter.segment(scan, gated, options=SegmentOptions(engine="auto", **options))
    assert (of_torch.engine, of_openvino.engine) == ("torch", "openvino")
    assert "asked for" in of_torch.engine_reason and "faster" in of_openvino.engine_reason
    assert 0 < of_torch.mask.sum() < of_torch.mask.size
    assert (of_torch.mask != of_openvino.mask).sum() <= 1e-4 * of_torch.mask.sum()
    for gate in gated.gate_names:
        np.testing.assert_allclose(of_openvino.attention[gate].array, of_torch.attention[gate].array, atol=1e-4)
    assert len(list((tmp_path / "openvino").iterdir())) == 2


@installed
def test_auto_goes_on_with_pytorch_and_a_notice_where_openvino_fails(gated, monkeypatch, tmp_path):
    monkeypatch.setenv("AGUNETR_CACHE", str(tmp_path))

    def fail(*arguments):
        raise RuntimeError("No such operator.")

    monkeypatch.setattr(openvino_conversion, "convert", fail)
    segmenter, scan = Segmenter(), bright_scan()
    options = dict(device="cpu", precision="exact", overlap=0.25)
    for _ in range(2):  # a warm network says it again
        answer = segmenter.segment(scan, gated, options=SegmentOptions(**options))
        assert answer.engine == "torch" and "No such operator" in answer.engine_reason
        (notice,) = [notice for notice in answer.notices if notice.kind == "engine-replaced"]
        assert "No such operator" in notice.message
    with pytest.raises(DeviceError, match="No such operator.*engine torch"):
        segmenter.segment(scan, gated, options=SegmentOptions(engine="openvino", **options))


def test_a_missing_and_a_broken_package_are_told_apart(monkeypatch):
    uncached = openvino_fault.__wrapped__
    monkeypatch.setattr(openvino_runtime.importlib.util, "find_spec", lambda name: None)
    assert uncached() == "it is not installed"
    monkeypatch.setattr(openvino_runtime.importlib.util, "find_spec", lambda name: object())

    def broken():
        raise ImportError("libopenvino.so: cannot open shared object file")

    monkeypatch.setattr(openvino_runtime, "core", broken)
    assert "cannot open shared object file" in uncached()


def test_the_telling_line_of_an_openvino_error_is_shown():
    error = RuntimeError("Exception from a.cpp:1:\nException from b.cpp:2:\nIt broke.\nMore.")
    assert first_reason(error) == "It broke"
    assert first_reason(ValueError()) == "ValueError"


def test_nothing_heavy_is_imported_with_the_engines(tmp_path):
    script = (
        "import sys; import agunetr.inference.segmenter, agunetr.inference.engines, agunetr.cli; "
        "assert 'openvino' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ, cwd=Path(tmp_path))


@installed
def test_a_network_that_cannot_be_exported_runs_all_the_same(gated, tmp_path, monkeypatch, caplog):
    class NotExported:
        def __init__(self, compiled):
            self._compiled = compiled

        def __getattr__(self, name):
            return getattr(self._compiled, name)

        def export_model(self):
            raise RuntimeError("Exception from src/core:1:\nNot supported here.")

    backend = openvino_backend.OpenVinoBackend(gated, cache=FormCache(tmp_path))
    keep = backend._keep
    monkeypatch.setattr(backend, "_keep", lambda compiled, gates: keep(NotExported(compiled), gates))
    with caplog.at_level("WARNING", "agunetr"):
        backend.prepare()
    assert "Not supported here" in caplog.text and not list(tmp_path.iterdir())
    logits, _ = backend.predict(torch.rand(1, 1, *gated.window))
    assert torch.isfinite(logits).all()
