"""The strongest maps and the Gram matrices on the page, against the model and NumPy."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import nst_tf
from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.pictures import images


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    pictures = [str(assets.SCENE), str(assets.PAINTING)]
    options = ["--weights=mini", "--size=64", "--values=conv1_1,block4_conv1", f"--out={folder}"]
    assert main(["experiment", "feature-maps", *pictures, *options]) == 0
    return folder


def test_the_strongest_filters(folder):
    extractor = nst_tf.FeatureExtractor(["conv1_1", "conv4_1"], "mini")
    with (folder / "results.csv").open() as stream:
        table = list(csv.DictReader(stream))
    for role, source in (("content", assets.SCENE), ("style-1", assets.PAINTING)):
        for name, maps in extractor(images.load(source, 64)[np.newaxis]).items():
            means = maps.numpy().astype(np.float64).mean((0, 1, 2))
            lines = [line for line in table if (line["picture"], line["layer"]) == (role, name)]
            assert [int(line["filter"]) for line in lines] == list(np.argsort(-means)[:8])
            told = [float(line["mean"]) for line in lines]
            np.testing.assert_allclose(told, np.sort(means)[::-1][:8], rtol=1e-4)
            path = folder / f"{role}-{name}-{lines[0]['filter']}.png"
            assert Image.open(path).size == maps.shape[2:0:-1]


def test_heat_maps_are_brighter_where_the_gram_matrix_is_larger(folder):
    extractor = nst_tf.FeatureExtractor(["conv4_1"], "mini")
    flat = extractor(images.load(assets.PAINTING, 64)[np.newaxis])["conv4_1"].numpy()
    flat = flat.reshape(-1, flat.shape[-1]).astype(np.float64)
    gram = flat.T @ flat
    heat = np.asarray(Image.open(folder / "style-1-conv4_1-gram.png").convert("L"), float)
    assert heat.shape == gram.shape
    order = np.argsort(gram, axis=None)
    shown = gram.ravel()[order] > 1e-4 * gram.max()
    ranked = heat.ravel()[order][shown]
    assert np.corrcoef(np.arange(ranked.size), ranked)[0, 1] > 0.9


def test_the_page_and_the_record(folder):
    page = (folder / "index.html").read_text()
    assert page.count("<img") == 2 + 2 * 2 * 8 + 2 * 2
    assert "Gram matrices of conv4_1" in page
    record = json.loads((folder / "run.json").read_text())
    assert record["layers"] == ["conv1_1", "conv4_1"]


def test_a_layer_that_is_none(tmp_path, capsys):
    pictures = [str(assets.SCENE), str(assets.PAINTING)]
    options = ["--weights=mini", "--values=conv9_9", f"--out={tmp_path}"]
    assert main(["experiment", "feature-maps", *pictures, *options]) == 2
    assert "conv9_9" in capsys.readouterr().err
