"""Intervals: Wilson's against its formula, the bootstrap's by how often they hold the truth."""

from __future__ import annotations

import math
import sys
from statistics import NormalDist

import numpy as np
import pytest

from nst_tf.errors import NSTError, SettingsError
from nst_tf.judge.intervals import median_interval, wilson


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize(("successes", "count"), [(0, 1), (1, 1), (7, 20), (20, 20), (512, 1000)])
def test_wilson_is_the_closed_formula(successes, count, level):
    z, p, n = NormalDist().inv_cdf((1 + level) / 2), successes / count, count
    middle = p + z**2 / (2 * n)
    reach = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [(middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)]
    assert wilson(successes, count, level) == pytest.approx(expected, abs=1e-9)


def test_wilson_is_of_95_percent():
    """0.95 by default: 81 of 263 in Wilson's interval by Newcombe, 1998, table I."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize("successes, count", [(0, 0), (-1, 3), (4, 3)])
def test_no_share(successes, count):
    with pytest.raises(SettingsError, match=f"{successes} successes of {count}"):
        wilson(successes, count)


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_no_level(level):
    for call in (lambda: wilson(1, 2, level), lambda: median_interval([1, 2], level=level)):
        with pytest.raises(SettingsError, match=f"a level of {level:g}: use one between 0 and 1"):
            call()


@pytest.mark.parametrize("level", [0.95, 0.7])
def test_the_bootstrap_holds_the_true_median_as_often_as_it_says(level):
    """That of a skewed distribution, whose median is 1 and whose mean is not."""
    draw = np.random.default_rng(0)
    times, held = 500, 0
    for seed in range(times):
        values = draw.lognormal(0, 1, 101)
        median, low, high = median_interval(values, level=level, resamples=300, seed=seed)
        assert median == np.median(values) and low <= median <= high
        held += low <= 1 <= high
    assert held / times == pytest.approx(level, abs=0.05)


def test_the_interval_is_near_that_of_order_statistics():
    """Of many values, its ends are those at n/2 ± z √n / 2 in order (the binomial's)."""
    values = np.random.default_rng(1).standard_normal(401)
    _, low, high = median_interval(values)
    order = np.sort(values)
    reach = 1.96 * math.sqrt(401) / 2
    assert low == pytest.approx(order[round(200 - reach)], abs=0.03)
    assert high == pytest.approx(order[round(200 + reach)], abs=0.03)


def test_equal_values_within_groups_count_once():
    medians = np.random.default_rng(2).standard_normal(9)
    values, groups = np.repeat(medians, 5), np.repeat([f"style {k}" for k in range(9)], 5)
    shuffled = np.random.default_rng(3).permutation(45)
    # The groups in the order in which they first appear, which is the order of the draws.
    _, first = np.unique(groups[shuffled], return_index=True)
    order = [int(groups[shuffled][k][-1]) for k in np.sort(first)]
    expected = median_interval(medians[order])
    assert median_interval(values[shuffled], list(groups[shuffled])) == expected
    singly = median_interval(values)
    assert singly[2] - singly[1] < 0.8 * (expected[2] - expected[1])


def test_groups_of_several_sizes_bring_all_their_values():
    """Two groups: both once with probability ½, one of them twice with ¼ each."""
    values, groups = [1.0, 2.0, 9.0], ["a", "a", "b"]
    assert median_interval(values, groups) == (2.0, 1.5, 9.0)
    assert median_interval(values, groups, level=0.4) == (2.0, 2.0, 2.0)


def test_groups_hold_the_truth_where_single_values_do_not():
    draw = np.random.default_rng(4)
    times, held = 200, {"groups": 0, "singly": 0}
    groups = np.repeat(np.arange(15), 8)
    for seed in range(times):
        values = draw.standard_normal(15)[groups] + 0.1 * draw.standard_normal(groups.size)
        for how, given in (("groups", list(groups)), ("singly", None)):
            _, low, high = median_interval(values, given, resamples=150, seed=seed)
            held[how] += low <= 0 <= high
    assert held["groups"] / times > 0.85 and held["singly"] / times < 0.7


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(5).standard_normal(30)
    state = np.random.get_state()[1].copy()
    assert median_interval(values, seed=1) == median_interval(values, seed=1)
    assert median_interval(values, seed=1) != median_interval(values, seed=2)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    ("values", "groups"), [([3.5], None), ([3.5], ["a"]), ([1.0, 3.5, 4.0], ["a"] * 3)]
)
def test_one_value_or_one_group(values, groups):
    assert median_interval(values, groups) == (3.5, 3.5, 3.5)


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        ([], {}, r"values of the shape \[0\]"),
        ([[1.0]], {}, r"values of the shape \[1, 1\]"),
        ([1.0, math.nan], {}, "nan is among the values: give finite numbers"),
        ([-math.inf], {}, "-inf is among the values"),
        ([1.0, 2.0], {"groups": ["a"]}, "1 groups for 2 values"),
        ([1.0, 2.0], {"resamples": 0}, "0 resamples"),
    ],
)
def test_what_has_no_median(values, options, words):
    with pytest.raises(SettingsError, match=words):
        median_interval(values, **options)


@pytest.mark.parametrize("call", [lambda: wilson(1, 2), lambda: median_interval([1.0])])
def test_without_scipy(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(NSTError, match=r"the judge needs scipy: pip install 'nst_tf\[judge\]'"):
        call()
