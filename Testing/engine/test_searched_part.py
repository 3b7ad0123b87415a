"""Two looks together say what one look at all the windows says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tiny_models import tiny_network

from agunetr.inference.blending import AIR_LOGIT
from agunetr.inference.inferer import WindowInferer
from agunetr.inference.search import dense_search
from agunetr.inference.searched_part import SearchedPart
from agunetr.inference.volume import Volume

WINDOW = (16, 16, 16)
GATES = ("enc1",)


def _parts(shape, chosen):
    """The answers of several looks at one random image, and that of all their windows at once."""
    network = tiny_network("agunetr-v2", window=WINDOW)
    image = torch.rand((1, 1, *shape), generator=torch.Generator().manual_seed(1))
    search = dense_search(Volume(np.broadcast_to(np.float32(0), shape[::-1])), WINDOW, 0.5, "")

    def predict(windows):
        with network.recording_gates():
            return network(windows), network.gate_maps()

    def look(corners):
        nonlocal search
        search = search.__class__(**{**search.__dict__, "fresh": tuple(corners)})
        (r0, r1), (a0, a1), (s0, s1) = search.box
        part = image[..., r0:r1, a0:a1, s0:s1]
        blended = WindowInferer(WINDOW, 0.5).infer(predict, part, GATES, corners=search.corners_in_box)
        return SearchedPart.of(search, blended)

    return [look(corners) for corners in chosen], look(list(itertools.chain(*chosen))), search


@pytest.mark.parametrize("shape", [(40, 16, 33), (24, 11, 40)])
def test_windows_of_two_looks_are_the_windows_of_one(shape):
    every = dense_search(Volume(np.broadcast_to(np.float32(0), shape[::-1])), WINDOW, 0.5, "").corners
    (first, second), whole, search = _parts(shape, (every[1::3], [*every[::3], *every[2::3]]))
    both = first.joined(second, search)
    assert both.box == whole.box and both.corners == every
    assert whole.logits.std() > 1e-3
    torch.testing.assert_close(both.logits, whole.logits, rtol=0, atol=2e-5)
    torch.testing.assert_close(both.gate_maps["enc1"], whole.gate_maps["enc1"], rtol=0, atol=2e-5)


def test_where_no_window_was_there_is_background():
    shape = (64, 16, 16)
    (first, second), _, search = _parts(shape, ([(0, 0, 0)], [(48, 0, 0)]))
    both = first.joined(second, search)
    assert both.box == ((0, 64), (0, 16), (0, 16))
    assert bool((both.logits[16:48] == AIR_LOGIT).all()) and not both.gate_maps["enc1"][16:48].any()
    torch.testing.assert_close(both.logits[:16], first.logits)
    torch.testing.assert_close(both.logits[48:], second.logits)


def test_marked_cells_are_those_of_the_largest_piece_with_its_size():
    logits = torch.full((20, 18, 17), -5.0)
    logits[2:6, 2:6, 2:6] = 5.0
    logits[16:20, 16:18, 12:17] = 5.0
    part = SearchedPart(((10, 30), (0, 18), (0, 17)), (), logits, {})
    cells, voxels = part.marked(0.0, largest_component=True)
    assert voxels == 64 and cells.first == (9.5, -0.5, -0.5) and cells.edge == (4.0, 4.0, 4.0)
    assert cells.marked[0, 0, 0] and cells.marked[1, 1, 1] and not cells.marked[4, 4, 3]
    assert part.marked(0.0, largest_component=False)[1] == 64 + 4 * 2 * 5
    assert part.marked(6.0, largest_component=True)[1] == 0
