"""The embedded models on the real CTs that they were trained on (skipped where those are not there)."""

from __future__ import annotations

import pytest
from real_cases import check_case


@pytest.mark.parametrize(
    "name",
    [
        "crlm-1004",
        "pancreatic-cb001",
        "cptac-pda-00189",
        "radiogenomics-r01-001",
        "acrin-flt-breast-001",
        "totalsegmentator-example",
    ],
)
def test_a_training_ct_is_segmented(name, shared_data, report_line):
    report_line(check_case(shared_data / "cases" / name))
