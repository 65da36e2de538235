"""The table of the judge: medians, intervals, failures, the worst; against NumPy."""

from pathlib import Path

import numpy as np
import pytest

from nst_tf.judge import table
from nst_tf.judge.methods import Method
from nst_tf.judge.protocol import Pair
from nst_tf.judge.table import Judged

LABELS = ["vgg19", "mini"]
PAIRS = [Pair(Path(f"c{c}.jpg"), Path(f"s{s}.jpg")) for c in range(4) for s in range(3)]
OWN_VGG, OWN_MINI, NONE = Method("a@vgg19", "vgg19"), Method("a@mini", "mini"), Method("quilting")


def judged(method, pair, **values):
    return Judged(method, pair, {key.replace("__", "@"): value for key, value in values.items()})


def test_who_may_judge_whom():
    assert table.fair_label(OWN_VGG, LABELS) == "mini"
    assert table.fair_label(OWN_MINI, LABELS) == "vgg19"
    assert table.fair_label(NONE, LABELS) == "vgg19"
    assert table.fair_label(OWN_MINI, ["mini"]) is None
    values = {"w2__vgg19": 0.1, "w2__mini": 0.2, "gram__vgg19": 0.3, "gram__mini": 0.4}
    assert judged(OWN_VGG, PAIRS[0], **values).fair(LABELS) == 0.2
    assert judged(OWN_MINI, PAIRS[0], **values).fair(LABELS, "gram") == 0.3


@pytest.fixture(scope="module")
def results():
    """Values that depend on the style alone, but for a little."""
    draw = np.random.default_rng(0)
    of_style = {f"s{s}.jpg": 0.2 + 0.3 * s for s in range(3)}
    return [
        judged(
            NONE,
            pair,
            w2__vgg19=of_style[pair.style.name] + 0.01 * draw.random(),
            ssim=0.05 if pair.content.name == "c0.jpg" else 0.5,
        )
        for pair in PAIRS
    ]


def test_medians_and_intervals_over_styles(results):
    row = table.rows([NONE], results, PAIRS, LABELS)[0]
    gains = np.array([result.values["w2@vgg19"] for result in results])
    cell = row.cells["w2@vgg19"]
    assert cell.median == pytest.approx(np.median(gains))
    # Three styles, whole: all three drawn alike, the median is that style's, one time in nine. Of
    # single pairs, so far apart an interval would be found once in a thousand draws.
    assert cell.low == pytest.approx(0.2, abs=0.02)
    assert cell.high == pytest.approx(0.8, abs=0.02)
    assert row.cells["cfsd"].median is None
    assert row.count == 12


def test_failures_are_too_little_style_or_too_little_photo(results):
    row = table.rows([NONE], results, PAIRS, LABELS)[0]
    # The first style's four, and of the other two those of the photo that is gone.
    assert row.failures == 4 + 2
    assert table.failed(judged(NONE, PAIRS[0], w2__vgg19=0.3, ssim=0.1), LABELS) is False
    assert table.failed(judged(NONE, PAIRS[0], w2__vgg19=0.29, ssim=0.9), LABELS) is True
    assert table.failed(judged(NONE, PAIRS[0], w2__vgg19=0.9, ssim=0.09), LABELS) is True
    assert table.failed(judged(OWN_MINI, PAIRS[0], w2__mini=0.9, ssim=0.9), ["mini"]) is None


def test_what_is_missing_is_listed(results):
    row = table.rows([NONE], results[:-2], PAIRS, LABELS)[0]
    assert list(row.missing) == [pair.name for pair in PAIRS[-2:]]
    assert row.count == 10
    empty = table.rows([OWN_VGG], results, PAIRS, LABELS)[0]
    assert (empty.count, empty.failures, len(empty.missing)) == (0, None, 12)


def test_gains_in_units_of_a_references():
    """Of the same pair, whichever order they come in."""
    made = [
        judged(method, pair, gram_nepers__vgg19=gain)
        for pair, gains in zip(PAIRS, ((1.0, 2.0), (0.5, 0.25)), strict=False)
        for method, gain in zip((NONE, OWN_VGG), gains, strict=True)
    ]
    alone = judged(NONE, PAIRS[5], gram_nepers__vgg19=1.0)
    found = table.with_ratios([*made, alone], LABELS, OWN_VGG.name)
    assert [one.values.get("ratio@vgg19") for one in found] == [0.5, 1.0, 2.0, 1.0, None]
    assert all("ratio@mini" not in one.values for one in found)
    row = table.rows([NONE], found, PAIRS, LABELS, OWN_VGG.name)[0]
    assert row.cells["ratio@vgg19"].median == 1.25


def test_the_worst_come_first_and_the_rows_that_are_always_there_do_not():
    values = [(0.3, 0.5), (0.15, 0.9), (0.6, 0.02), (0.9, 0.9)]
    made = [
        judged(NONE, pair, w2__vgg19=gained, ssim=kept)
        for pair, (gained, kept) in zip(PAIRS, values, strict=False)
    ]
    identity = judged(Method("identity"), PAIRS[0], w2__vgg19=0.0, ssim=1.0)
    worst = table.worst([identity, *made], LABELS, 3)
    assert worst == [made[2], made[1], made[0]]
