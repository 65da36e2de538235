"""Which run a manifest is of, and what is added to it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nst_tf.recipe import presets
from nst_tf.run import output, record


def written(**changes):
    """An identity, and the manifest that a run of it leaves."""
    identity = {"settings": presets.settings("gatys2016", **changes).asdict(), "dtype": "float32"}
    return identity, {**json.loads(json.dumps(identity)), "total": 1.5}


def test_a_manifest_is_of_its_own_run():
    identity, manifest = written(size=64, snapshots=(2, 3))
    assert record.same_work(identity, manifest)


@pytest.mark.parametrize("changes", [{"size": 65}, {"strength": 0.6}, {"min_scale": 32}])
def test_and_of_no_other(changes):
    identity, _ = written(size=64)
    _, manifest = written(**{"size": 64, **changes})
    assert not record.same_work(identity, manifest)
    assert not record.same_work({**identity, "dtype": "mixed_float16"}, written(size=64)[1])


def test_what_an_older_version_did_not_know_had_its_default():
    identity, manifest = written(size=64)
    for name in ("strength", "min_scale", "bounded", "colours"):
        del manifest["settings"][name]
    assert record.same_work(identity, manifest)
    for changes in ({"strength": 0.6}, {"bounded": True}, {"colours": "palette"}):
        assert not record.same_work(written(size=64, **changes)[0], manifest)


def test_nor_the_kind_of_a_network():
    identity, manifest = written(size=64)
    weights = {"source": "a.npz", "kind": "file", "sha256": "1", "file_sha256": "2"}
    older = {key: value for key, value in weights.items() if key != "kind"}
    identity = {**identity, "weights": weights}
    assert record.same_work(identity, {**manifest, "weights": weights})
    assert record.same_work(identity, {**manifest, "weights": older})
    for other in ({**older, "sha256": "3"}, {**weights, "kind": "mini"}, {"kind": "file"}, None):
        assert not record.same_work(identity, {**manifest, "weights": other})


def test_a_picture_is_the_same_wherever_it_lies():
    identity, manifest = written(size=64)
    here, there = {"path": "a.jpg", "sha256": "1"}, {"path": "elsewhere/b.jpg", "sha256": "1"}
    assert record.same_work({**identity, "content": here}, {**manifest, "content": there})
    assert record.same_work({**identity, "styles": [here]}, {**manifest, "styles": [there]})
    other = {"path": "a.jpg", "sha256": "2"}
    assert not record.same_work({**identity, "content": here}, {**manifest, "content": other})
    assert not record.same_work({**identity, "styles": [here]}, {**manifest, "styles": [other]})


@pytest.mark.parametrize("manifest", [{}, {"settings": None}, {"method": "quilting"}])
def test_what_is_no_manifest_of_a_run_is_of_no_run(manifest):
    assert not record.same_work(written(size=64)[0], manifest)


def test_other_work_has_no_settings():
    assert record.same_work({"method": "quilting"}, {"method": "quilting", "seconds": 1})
    assert not record.same_work({"method": "quilting"}, {"method": "analogies"})


def test_what_is_added_is_added_to_ones_own(tmp_path):
    path, mine = tmp_path / "a.png", np.zeros((4, 4, 3))
    told = {"result_sha256": record.pixels_sha256(mine)}
    output.save(mine, told, path)
    record.add(path, mine, {"proof": "of mine"})
    assert json.loads(path.with_suffix(".json").read_text()) == told | {"proof": "of mine"}


@pytest.mark.parametrize(
    "told", [{"result_sha256": record.pixels_sha256(np.ones((4, 4, 3)))}, {"other": "program"}, [1]]
)
def test_nothing_is_added_to_anothers(tmp_path, told):
    """Another run's result, or another program's file, may have come in its place."""
    beside = tmp_path / "a.json"
    beside.write_text(json.dumps(told))
    with pytest.warns(UserWarning, match=r"a\.json is another's by now: proof not added"):
        record.add(tmp_path / "a.png", np.zeros((4, 4, 3)), {"proof": "of mine"})
    assert json.loads(beside.read_text()) == told
