"""Many pictures in one call: the results of single ones, and a bad picture stops none."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from test_locks import held

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


def killed_at(number):
    """A callback that ends all at the step of this number, of all that were made."""
    seen = []

    def count(step):
        seen.append(step)
        if len(seen) == number:
            raise ZeroDivisionError

    return count


def test_what_was_ended_goes_on(tmp_path, scene, painting, options):
    """Of two photos, with one between them that is gone, in two styles."""
    contents, aside = [scene, tmp_path / "gone.png", scene[::-1]], tmp_path / "aside"
    styles = [painting, painting[::-1]]
    options = {**options, "evaluations": 3, "workshop": nst_tf.Workshop()}
    wanted = list(nst_tf.stylize_many(contents, styles, **options))
    given = []
    for number in (1, 2, 4, 5):
        many = nst_tf.stylize_many(
            contents, styles, checkpoints=aside, callbacks=[killed_at(number)], **options
        )
        given.append(0)
        with pytest.raises(ZeroDivisionError):
            for _ in many:
                given[-1] += 1
    # What is done gives its last step again, and what was ended the one that it was ended at.
    assert given == [0, 0, 1, 4]
    made = list(nst_tf.stylize_many(contents, styles, checkpoints=aside, **options))
    for one, other in zip(made, wanted, strict=True):
        assert str(one.error) == str(other.error)
        if one.result is not None:
            np.testing.assert_array_equal(one.result.array, other.result.array)
    names = [f"{photo:06}-{style}" for photo in (1, 3) for style in (1, 2)]
    assert sorted(path.name for path in aside.iterdir()) == names


def test_checkpoints_of_others_are_refused_by_name(tmp_path, scene, painting, options):
    options = {**options, "checkpoints": tmp_path, "workshop": nst_tf.Workshop()}
    (made,) = nst_tf.stylize_many([scene], painting, **options)
    assert made.error is None
    (other,) = nst_tf.stylize_many([scene], painting, **options, seed=3)
    assert "is of another run: seed was 0, is 3" in str(other.error)
    _, another = nst_tf.stylize_many([painting, scene], painting, **options)
    assert another.error is None
    with held(tmp_path), pytest.raises(nst_tf.FileError, match="is in use by another run"):
        next(nst_tf.stylize_many([scene], painting, **options))
    for change in ({"checkpoints": 3}, {"checkpoint_every": -1}):
        with pytest.raises(nst_tf.SettingsError, match="checkpoint"):
            nst_tf.stylize_many([scene], painting, **{**options, **change})
    with pytest.raises(nst_tf.FileError, match="is no folder"):
        nst_tf.stylize_many([scene], painting, **{**options, "checkpoints": __file__})


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
