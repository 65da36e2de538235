"""What TF Serving reads, parsed by TF Serving's own protocol buffers."""

import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format

from nst_tf.apps.main import main
from nst_tf.errors import ExportError
from nst_tf.export import card, saved_model, serving
from nst_tf.recipe import presets

pytest.importorskip("tensorflow_serving")
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2


@pytest.fixture(scope="module", autouse=True)
def configuration(exported):
    """Beside the versions of the model that all tests of exports share."""
    serving.write_configuration(exported)
    yield
    shutil.rmtree(exported.parent / serving.FOLDER)


def test_a_server_batches_where_every_input_has_a_batch(exported, tiny_weights, tmp_path):
    """It takes no model with a scalar input when it batches."""
    settings = presets.settings("gatys2016", style_layers={"conv1_1": 1.0}, content_layers={})
    style = saved_model.export(
        tmp_path / "style", what="style", weights=tiny_weights, settings=settings, size=48
    )
    serving.write_configuration(style)
    for version, batches in ((exported, False), (style, True)):
        functions = tf.saved_model.load(str(version)).signatures.values()
        inputs = [
            spec
            for function in functions
            for spec in function.structured_input_signature[1].values()
        ]
        assert all(spec.shape.rank for spec in inputs) == batches
        compose = (version.parent / serving.FOLDER / "compose.yaml").read_text()
        assert ("--enable_batching=true" in compose) == batches
        command = yaml.safe_load(compose)["services"][version.parent.name]["command"]
        assert any(flag.startswith("--model_config_file=/models/") for flag in command)


def test_the_models_configuration(exported):
    text = (exported.parent / serving.FOLDER / "models.config").read_text()
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = parsed.model_config_list.config
    assert (model.name, model.base_path) == ("tiny", "/models/tiny")
    assert model.model_version_policy.latest.num_versions == 2
    assert dict(model.version_labels) == {"stable": 1}


def test_batches_are_padded_up_to_the_largest(exported):
    """Of pictures of the one size, which the model takes so many of, whoever sent them."""
    text, told = (
        (exported.parent / serving.FOLDER / "batching.config").read_text(),
        card.read(exported),
    )
    sizes = [int(size) for size in re.findall(r"allowed_batch_sizes: (\d+)", text)]
    largest = int(re.search(r"max_batch_size \{ value: (\d+) \}", text)[1])
    assert sizes == sorted(sizes) and sizes[-1] == largest == 8
    assert sizes[-1] * told["size"] ** 2 <= told["most_pixels"] and str(told["most_pixels"]) in text
    told |= {"most_pixels": 4 * told["size"] ** 2 - 1}
    text = serving._configuration("tiny", 1, True, told)["batching.config"]
    assert re.findall(r"allowed_batch_sizes: (\d+)", text) == ["1", "2"]
    assert "max_batch_size { value: 2 }" in text


def test_warm_up_requests_are_answered_by_every_signature(exported):
    loaded = tf.saved_model.load(str(exported))
    asked = set()
    for record in tf.data.TFRecordDataset(str(exported / serving.WARMUP)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "tiny"
        name = request.model_spec.signature_name
        asked.add(name)
        inputs = {key: tf.constant(tf.make_ndarray(proto)) for key, proto in request.inputs.items()}
        for value in loaded.signatures[name](**inputs).values():
            if value.dtype == tf.string:
                assert value.numpy().startswith(b"\x89PNG")
            else:
                assert np.isfinite(value).all()
    assert asked == set(loaded.signatures)


def test_what_people_changed_stays(exported):
    path = exported.parent / serving.FOLDER / "batching.config"
    before = path.read_text()
    path.write_text("mine")
    assert serving.write_configuration(exported) == []
    assert path.read_text() == "mine"
    path.write_text(before)


def test_a_name_that_no_server_takes(tmp_path):
    for name in ("my model", "modèle", "-x"):
        with pytest.raises(ExportError, match=f"'{name}': name the model with letters"):
            serving.check_name(tmp_path / name)
    assert main(["export", f"--out={tmp_path / 'my model'}", "--weights=mini"]) == 2
    assert not (tmp_path / "my model").exists()


def test_without_the_protocol_buffers(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "can_write_warmup", lambda: False)
    with pytest.raises(ExportError, match=r"pip install 'nst_tf\[serve\]'"):
        saved_model.export(tmp_path / "m", weights=tiny_weights, warmup=True)
    assert not (tmp_path / "m").exists()
