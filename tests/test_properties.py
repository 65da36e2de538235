"""What holds of every value that is drawn: settings, layers' names, sizes, blends and masks."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import string
from fractions import Fraction

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from nst_tf.apps import run_flags
from nst_tf.errors import NSTError, SettingsError
from nst_tf.pictures import images, initial, masks
from nst_tf.recipe import choices, layers, presets
from nst_tf.recipe.settings import Settings
from nst_tf.run import record

#: The same examples in every run, however slow the machine is.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("same")

NAMES = [f"{name}{pre}" for name in layers.NAMES for pre in ("", ":pre")]
WEIGHT = st.floats(1e-9, 1e30)
PART = st.floats(0, 1, exclude_min=True, exclude_max=True)
SIZE = st.none() | st.integers(1, 10**6)
LAYERS = st.dictionaries(st.sampled_from(NAMES), WEIGHT, min_size=1, max_size=4)
FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
#: What can be set: of each field, values that fit.
GOOD = {
    **{name: st.sampled_from(f.metadata["choices"]) for name, f in FIELDS.items()},
    **{name: st.booleans() for name, f in FIELDS.items() if f.type == "bool"},
    **{name: WEIGHT for name in FIELDS if name.endswith("_weight")},
    **dict.fromkeys(("size", "min_scale", "max_scale"), SIZE),
    **dict.fromkeys(("content_layers", "style_layers", "structure_layers"), LAYERS),
    **dict.fromkeys(("strength", "content_share", "average"), PART),
    "preset": st.text(),
    "stroke_size": st.floats(0.01, 100),
    "style_blend": st.lists(st.floats(0.1, 10), max_size=4),
    "stroke_sizes": st.lists(PART, max_size=3),
    "snapshots": st.lists(st.integers(1, 10**9), max_size=4),
    "snapshot_every": st.integers(0, 10**9),
    "seed": st.integers(0, 2**64),
    "iterations": st.none() | st.integers(0, 10**9),
    "init": st.sampled_from([*choices.INITIAL_IMAGES, "content=0.7,noise=0.3", "a file.png"]),
    "optimizer": st.sampled_from(choices.OWN),
    "learning_rate": st.none() | st.floats(1e-9, 1e9),
}
#: Beside stroke_size it is refused; and what a run always has.
del GOOD["style_size"], GOOD["evaluations"]
#: Numbers that only look like some.
AWKWARD = [10**400, -(10**400), Fraction(10**400), 1e999, float("nan"), 1j, True, np.float32(2), ""]
#: And what nobody meant to set.
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([*AWKWARD, object, b"\xff", float])
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
NAME = st.text(st.sampled_from("ab:. é\x1b"), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with files whose names hold colons."""
    folder, before = tmp_path_factory.mktemp("names"), os.getcwd()
    os.chdir(folder)
    for name in ("a", "b", "a:b", "b:a.a", "é", "\x1b", "a: "):
        (folder / name).touch()
    yield folder
    os.chdir(before)


def one_line(error: NSTError) -> bool:
    return str(error).isprintable() and len(str(error)) > 0


@hypothesis.given(st.fixed_dictionaries({"evaluations": st.integers(1, 10**9)}, optional=GOOD))
def test_settings_come_back_from_a_manifest(given):
    hypothesis.assume((given.get("style_loss"), given.get("padding")) != ("neighbours", "mirror"))
    made = Settings(**given)
    written = json.loads(json.dumps({"settings": made.asdict()}))
    again = Settings(**written["settings"])
    assert again == made and again.graph_key == made.graph_key
    assert record.same_work({"settings": made.asdict()}, written)
    other = again.replace(seed=made.seed ^ 1)  # another, and no larger than may be
    assert not record.same_work({"settings": other.asdict()}, written)


@hypothesis.given(st.dictionaries(st.sampled_from([*FIELDS]), JUNK, min_size=1, max_size=3))
def test_settings_are_made_or_refused_by_ours(given):
    made_or_refused(given)


@pytest.mark.parametrize("name", FIELDS)
def test_numbers_that_only_look_like_some(name):
    for value in AWKWARD:
        for given in (value, [value], {"conv1_1": value}, {value: 1.0}):
            made_or_refused({name: given})


def made_or_refused(given):
    try:
        made = Settings(**{"evaluations": 1, **given})
    except SettingsError as error:
        assert one_line(error)
        return
    for name in FIELDS:  # what was taken has the plain form, in which it lasts
        if name not in ("init", "style_loss", "optimizer", "preset"):
            assert dataclasses.replace(made, **{name: getattr(made, name)}) == made


@hypothesis.given(st.sampled_from(NAMES), st.booleans(), st.sampled_from(["", " ", "\t"]))
def test_a_layers_name_in_either_notation(name, other, space):
    layer = layers.parse(name)
    block, index = layer.name[4], layer.name[6]
    if other:
        name = name.replace(layer.name, f"block{block}_conv{index}")
    assert layers.parse(space + name + space) == layer == layers.parse(str(layer))
    assert layer.block == int(block) and layer.before_relu == name.endswith(":pre")


@hypothesis.given(
    st.text(max_size=12) | st.from_regex(r"(conv|block)\d_?(conv)?\d+(:pre)?", fullmatch=True)
)
def test_any_text_is_a_layer_or_refused(text):
    try:
        assert str(layers.parse(text)) in NAMES
    except SettingsError as error:
        assert one_line(error)


@hypothesis.given(st.lists(st.text("conv_1234:pre=0.5e- \x1b", max_size=12), max_size=4))
def test_any_list_of_layers_is_read_or_refused(parts):
    try:
        read = run_flags.parse_layers(parts, presets.settings("crisp").style_layers)
    except SettingsError as error:
        assert one_line(error)
    else:
        assert set(read) <= set(NAMES)
        assert all(isinstance(weight, float) for weight in read.values())


@hypothesis.given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from(NAMES) | st.none(), st.integers(1, 60)
)
def test_sizes(height, width, name, size):
    if name:
        least = 2 ** (int(name[4]) - 1)  # each block sees half of the one before
        fits = height >= least and width >= least
        try:
            layers.check_size(height, width, [layers.parse(name)])
        except SettingsError as error:
            assert not fits and one_line(error)
        else:
            assert fits
    scaled = images.load(np.full((height, width), 100, np.uint8), size)
    assert max(scaled.shape[:2]) == size and scaled.shape[2] == 3
    shorter = min(height, width) * size / max(height, width)
    assert abs(min(scaled.shape[:2]) - max(1, shorter)) <= 0.5
    np.testing.assert_allclose(scaled, 100 / 255, rtol=1e-5)


@hypothesis.given(NAME, NAME)
def test_a_style_and_its_mask(folder, picture, mask):
    argument = f"{picture}:{mask}"
    parsed = masks.parse(argument)
    if os.path.exists(argument) or ":" not in argument:
        assert parsed == argument
    elif os.path.isfile(picture) and os.path.isfile(mask):
        assert isinstance(parsed, masks.Masked)
        assert os.path.isfile(str(parsed.picture)) and os.path.isfile(str(parsed.mask))
    if isinstance(parsed, masks.Masked):
        assert f"{parsed.picture}:{parsed.mask}" == argument


@hypothesis.given(st.text(max_size=20))
def test_any_text_is_a_style_or_refused(folder, text):
    try:
        parsed = masks.parse(text)
    except SettingsError as error:
        assert one_line(error)
    else:
        assert parsed == text or f"{parsed.picture}:{parsed.mask}" == text


@hypothesis.given(
    st.text("contenoisblak=0.,7-e \x00", max_size=24)
    | st.lists(
        st.tuples(st.sampled_from(choices.INITIAL_IMAGES), st.floats(0, 1e6)), min_size=1
    ).map(lambda parts: ",".join(f"{kind}={share!r}" for kind, share in parts))
)
def test_initial_images_are_shares_or_refused(folder, text):
    try:
        shares = initial.parse(text)
    except SettingsError as error:
        assert one_line(error)
    else:
        assert 0 < sum(shares.values()) < math.inf and min(shares.values()) >= 0


@hypothesis.given(st.data())
def test_masks_share_every_place_that_one_of_them_chooses(data):
    count = data.draw(st.integers(1, 4))
    values = st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6)
    given = [np.array(data.draw(values), np.float32).reshape(2, 3) for _ in range(count)]
    rest = data.draw(st.booleans()) and count > 1
    shares = masks.shares([*given, None] if rest else given)
    assert shares.shape == (2, 3, count + rest) and shares.min() >= 0
    if count == 1 and not rest:
        np.testing.assert_array_equal(shares[..., 0], given[0])
        return
    chosen = np.any([mask > 0 for mask in given], 0) | rest
    np.testing.assert_allclose(shares.sum(-1), chosen, atol=1e-6)


@hypothesis.given(st.text(string.printable + "\x1b\x00\x9b\u202e\ud800é", max_size=30))
def test_a_message_is_one_line_that_no_terminal_obeys(text):
    assert str(NSTError(text)).isprintable()
