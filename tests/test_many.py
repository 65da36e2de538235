"""Many pictures in one call: the results of single ones, and a bad picture stops none."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import nst_tf
from nst_tf.pictures import images

#: As in tests/test_workshops.py: what compiles soonest.
OPTIONS = {
    "preset": "gatys2016",
    "size": 40,
    "evaluations": 2,
    "optimizer": "adam",
    "content_layers": {"conv2_1": 1.0},
    "style_layers": {"conv1_1": 1.0},
}


@pytest.fixture
def options(tiny_weights):
    return {"weights": tiny_weights, **OPTIONS}


def encoded(picture):
    file = io.BytesIO()
    Image.fromarray(images.to_uint8(picture)).save(file, "PNG")
    return file.getvalue()


def test_a_bad_picture_stops_no_other(tmp_path, scene, painting, options):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    thin = np.zeros((1, 90, 3))
    contents = [scene, bad, tmp_path / "missing.png", thin, None, scene[::-1]]
    made = list(nst_tf.stylize_many(iter(contents), painting, **options))
    assert [one.content is content for one, content in zip(made, contents, strict=True)]
    errors = [str(one.error) for one in made[1:5]]
    assert all(isinstance(one.error, nst_tf.NSTError) and not one.result for one in made[1:5])
    assert "bad.jpg is not a picture" in errors[0] and "missing.png" in errors[1]
    assert "pixels" in errors[2] and "None" in errors[3]
    for one in (made[0], made[-1]):
        alone = nst_tf.stylize(one.content, one.style, **options)
        np.testing.assert_array_equal(one.result.array, alone.array)
        assert one.error is None


def test_every_style_makes_a_result_and_a_list_among_them_is_blended(scene, painting, options):
    other = painting[::-1] ** 2
    styles = [painting, other, (painting, other)]
    results = [one.result.array for one in nst_tf.stylize_many([scene], styles, **options)]
    for style, result in zip(styles, results, strict=True):
        expected = nst_tf.stylize(scene, style, **options)
        np.testing.assert_array_equal(result, expected.array)
    assert np.abs(results[0] - results[1]).max() > 0


def test_it_works_as_it_is_asked(scene, painting, options):
    def photos():
        yield scene
        raise ZeroDivisionError  # the next was not asked for

    assert next(nst_tf.stylize_many(photos(), painting, **options)).error is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"contents": "photo.jpg"}, "contents is str"),
        ({"contents": np.zeros((9, 9, 3))}, "contents is ndarray"),
        ({"contents": 3}, "contents is int"),
        ({"styles": []}, "at least one style"),
        ({"siez": 3}, "did you mean size"),
        ({"tile": "none"}, "tile"),
        ({"max_memory": "all"}, "max_memory"),
        ({"optimizer": "adma"}, "adma"),
        ({"callbacks": [3]}, "a callback is 3"),
    ],
)
def test_what_would_stop_all_stops_at_once(scene, painting, options, change, words):
    arguments = {"contents": [scene], "styles": painting, **options, **change}
    with pytest.raises(nst_tf.SettingsError, match=words):
        nst_tf.stylize_many(**arguments)


def test_bytes_and_file_objects_wherever_a_picture_is(tmp_path, scene, painting, options):
    mask = np.zeros((48, 64, 3), np.float32)
    mask[:, :32] = 1
    pictures = [scene, painting, mask, 1 - mask]
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for picture, path in zip(pictures, files, strict=True):
        path.write_bytes(encoded(picture))
    given = [path.read_bytes() for path in files]
    forms = [list(map(str, files)), given, list(map(io.BytesIO, given))]
    results = [
        nst_tf.stylize(content, nst_tf.Masked(style, mask), protect=protect, **options)
        for content, style, mask, protect in forms
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result.array, results[0].array)
    ways = json.loads(json.dumps([result.manifest for result in results]))
    for name in ("content", "styles"):
        path, data, stream = (way[name][0] if name == "styles" else way[name] for way in ways)
        assert data == stream and data["sha256"] == path["sha256"] and data["bytes"] > 0
        assert data.get("mask", {}).get("sha256") == path.get("mask", {}).get("sha256")
    many = nst_tf.stylize_many(map(io.BytesIO, given[:2]), io.BytesIO(given[1]), **options)
    assert [one.error for one in many] == [None, None]
