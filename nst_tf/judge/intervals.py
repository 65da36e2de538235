"""Intervals: how much a share or a median says, given how few values it comes from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from nst_tf.errors import NSTError, SettingsError


def wilson(successes: int, count: int, level: float = 0.95) -> tuple[float, float]:
    r"""Wilson's score interval of a share.

    With p = successes / count, n = count and z the normal quantile of (1 + level) / 2:
    (p + z²/2n ± z √(p (1 − p) / n + z²/4n²)) / (1 + z²/n). E. B. Wilson, "Probable inference, the
    law of succession, and statistical inference", Journal of the American Statistical Association
    22, 1927. Unlike p ± z √(p (1 − p) / n) it stays within [0, 1] and holds for few answers.

    Args:
      successes: how many of `count`.
      count: independent trials, at least 1.
      level: the share of such intervals that hold the true share, in (0, 1).

    Returns:
      The lower and the upper end, in [0, 1].

    Raises:
      SettingsError: no trial, more successes than trials, a level that is none.
      NSTError: scipy is missing.
    """
    _check_level(level)
    if not 0 <= successes <= count or count < 1:
        raise SettingsError(f"{successes} successes of {count}: use 0 to all of at least 1")
    interval = _stats().binomtest(successes, count).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def median_interval(
    values: Sequence[float] | np.ndarray,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """The median, and its interval by the percentile bootstrap.

    As many values as there are, drawn with replacement, have a median of their own; the interval
    runs from the (1 − level) / 2 quantile of such medians to the (1 + level) / 2 quantile. Efron
    and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3. With groups, whole
    groups are drawn, each with all its values: values that have something in common, such as the
    style image, are no independent observations, and drawing them singly would make the interval
    too narrow. Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.

    Args:
      values: finite numbers, at least one.
      groups: for each value the group that it belongs to; None makes each its own.
      level: of confidence, in (0, 1).
      resamples: how often is drawn, at least 1.
      seed: of the draws; the same gives the same interval.

    Returns:
      The median of all values, and the lower and the upper end of its interval. Of a single value
      or a single group all resamples are alike, and so the ends meet: that is no certainty.

    Raises:
      SettingsError: no value, a value that is not finite, groups that do not fit the values, a
        level or a number of resamples that is none.
      NSTError: scipy is missing.
    """
    _check_level(level)
    if resamples < 1:
        raise SettingsError(f"{resamples} resamples: use at least 1")
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not array.size:
        raise SettingsError(f"values of the shape {list(array.shape)}: give at least one in a row")
    if not np.isfinite(array).all():
        raise SettingsError(
            f"{array[~np.isfinite(array)][0]} is among the values: give finite numbers"
        )
    names: Sequence[Hashable] = range(array.size) if groups is None else list(groups)
    if len(names) != array.size:
        raise SettingsError(f"{len(names)} groups for {array.size} values: give one for each value")
    members: dict[Hashable, list[float]] = {}
    for name, value in zip(names, array, strict=True):
        members.setdefault(name, []).append(float(value))
    median = float(np.median(array))
    stats = _stats()
    if len(members) == 1:
        return median, median, median

    # One row a group; NaN fills up the short ones, and sorting puts it behind all values.
    table = np.full((len(members), max(map(len, members.values()))), np.nan)
    for row, group in zip(table, members.values(), strict=True):
        row[: len(group)] = group

    def medians(drawn: np.ndarray, axis: int) -> np.ndarray:
        found = np.sort(table[drawn].reshape(*drawn.shape[:-1], -1), axis)
        count = np.count_nonzero(~np.isnan(found), axis, keepdims=True)
        middle = np.concatenate([(count - 1) // 2, count // 2], axis)
        return np.asarray(np.take_along_axis(found, middle, axis).mean(axis))

    interval = stats.bootstrap(
        (np.arange(len(members)),),
        medians,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, 10**7 // table.size),  # 80 MB at a time
        confidence_level=level,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return median, float(interval.low), float(interval.high)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise SettingsError(f"a level of {level:g}: use one between 0 and 1, such as 0.95")


def _stats() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise NSTError("the judge needs scipy: pip install 'nst_tf[judge]'") from error
    return stats
