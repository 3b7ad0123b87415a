"""The embedded models on the real CTs that they were not trained on (skipped where those are not there).

Every Dice is printed at the end of the run. It is agreement with masks that no expert drew, not accuracy.
"""

from __future__ import annotations

import numpy as np
import pytest
from real_cases import bundles, check_case, segmenter

from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import resample_mask
from agunetr.measures import dice_score


@pytest.mark.parametrize(
    "name", ["crlm-1006", "lidc-0001", "interobserver-05", "lung1-002", "lung1-001", "matrad-liver"]
)
def test_a_kept_out_ct_gets_the_dice_of_the_model_card(name, shared_data, report_line):
    report_line(check_case(shared_data / "cases" / name))


def test_the_dicom_series_gets_its_mask_on_the_right_organ(shared_data, report_line):
    volume, _ = read_volume(shared_data / "dicom" / "totalsegmentator")
    organs = read_mask(shared_data / "dicom" / "totalsegmentator_organs.nii.gz")
    spleen = resample_mask(organs.with_array((organs.array == 1).astype(np.uint8)), volume)
    assert spleen.any() and volume.size == (512, 512, 20)
    for model, bundle in bundles().items():
        mask = segmenter().segment(volume, bundle).mask
        report_line(f"Dice DICOM series, a slab of 40 mm: {model} {dice_score(mask, spleen):.3f}")
        assert mask.any(), "no spleen found"
        inside = (mask & spleen).sum() / mask.sum()
        assert inside > 0.5, f"only {inside:.0%} of the mask of {model} lies in the spleen"
