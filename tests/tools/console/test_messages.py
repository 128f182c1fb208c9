from __future__ import annotations

import pytest
from stylectl.tools.console.messages import with_flags


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`style_weight` has no effect", "--style-weight has no effect"),
        ("use `size=640x480`", "use --size 640x480"),
        ("`optimizer.line_search=none` or", "--set optimizer.line_search=none or"),
        ("`strotss.samples` has no effect", "--set strotss.samples has no effect"),
        ("switch it off with `no_plugin`", "switch it off with --no-plugin"),
        ("must set `layers`, a tuple", "must set `layers`, a tuple"),
        ("the column is `style`", "the column is `style`"),
        ("`deinterlace=True` makes full frames", "--deinterlace makes full frames"),
        ("`contact_sheet` is written as .png", "--contact-sheet is written as .png"),
        ("`temporal_weight=1` has", "--temporal-weight 1 has"),
        ("nothing to change", "nothing to change"),
    ],
)
def test_options_become_flags(message: str, shown: str) -> None:
    assert with_flags(message) == shown
