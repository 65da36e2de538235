"""What a run consists of: scales from coarse to fine, and how many steps each gets."""

from __future__ import annotations

import numpy as np
import pytest

from nst_tf.errors import SettingsError
from nst_tf.recipe.settings import Settings
from nst_tf.run import schedule
from nst_tf.run.descent import Limits
from nst_tf.run.schedule import Stage

LAYERS = {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0}}


def picture(height, width):
    return np.zeros((height, width, 3), np.float32)


def sizes(stages, content):
    return [max(stage.shape(content)) for stage in stages]


def test_without_a_smallest_scale_there_is_one():
    settings = Settings(iterations=7, learning_rate=0.5)
    made = schedule.of_settings(settings, picture(30, 40), [picture(30, 40)])
    assert made == (Stage(Limits(7), learning_rate=0.5),)


def test_scales_grow_by_the_square_root_of_two():
    settings = Settings(iterations=40, min_scale=64, **LAYERS)
    content = picture(384, 512)
    made = schedule.of_settings(settings, content, [picture(300, 512)])
    assert sizes(made, content) == [64, 91, 128, 181, 256, 362, 512]
    assert [stage.limits.iterations for stage in made] == [320, 225, 160, 113, 80, 57, 40]
    assert {stage.limits.evaluations for stage in made} == {None}


def test_a_larger_result_is_the_smaller_one_gone_on_with():
    settings = Settings(evaluations=20, min_scale=128, **LAYERS)
    small, large = picture(512, 512), picture(1024, 1024)
    one, two = (schedule.of_settings(settings, content, [content]) for content in (small, large))
    assert [stage.limits for stage in two[: len(one)]] == [stage.limits for stage in one]
    assert sizes(two, large)[: len(one)] == sizes(one, small)
    # Work, in evaluations times pixels, grows with the longer side, not with the area.
    work = [
        sum(stage.limits.evaluations * size**2 for stage, size in zip(made, side, strict=True))
        for made, side in ((one, sizes(one, small)), (two, sizes(two, large)))
    ]
    assert 1.9 < work[1] / work[0] < 2.4


def test_scales_too_small_for_the_network_are_left_out():
    """conv5_1 takes 16 pixels, and of this content image the shorter side is an eighth."""
    settings = Settings(iterations=1, min_scale=32)
    content = picture(64, 512)
    made = schedule.of_settings(settings, content, [picture(512, 512)])
    assert sizes(made, content) == [128, 181, 256, 362, 512]
    assert made[0].shape(content) == (16, 128)
    narrow = schedule.of_settings(settings, picture(512, 512), [picture(64, 512)])
    assert sizes(narrow, picture(512, 512)) == [128, 181, 256, 362, 512]


def test_style_images_are_scaled_by_the_same_factor():
    stage = Stage(Limits(1), size=32)
    content, (style,) = stage.pictures(picture(64, 48), [picture(96, 128)])
    assert content.shape == (32, 24, 3)
    assert style.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min_scale": 0}, "min_scale is 0"),
        ({"average": 1.0}, "average is 1.0: use a number below 1"),
        ({"strength": 1.5}, "strength is 1.5: use a number from 0 to 1"),
        ({"stroke_size": 0}, "stroke_size is 0: use a number above 0"),
        ({"bounded": 1}, "bounded is 1: use True or False"),
        ({"style_size": 64, "stroke_size": 2.0}, "style_size and stroke_size both"),
    ],
)
def test_what_cannot_be_is_refused(changes, words):
    with pytest.raises(SettingsError, match=words):
        Settings(iterations=1, **changes)
