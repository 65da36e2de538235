import pytest

from nst_tf.errors import SettingsError
from nst_tf.recipe import layers


def test_there_are_the_16_convolutions_of_column_e():
    assert len(layers.NAMES) == 16
    assert layers.NAMES[0] == "conv1_1" and layers.NAMES[-1] == "conv5_4"
    assert sum(layers.CHANNELS.values()) == 2 * 64 + 2 * 128 + 4 * 256 + 8 * 512


@pytest.mark.parametrize("name", layers.NAMES)
def test_both_notations_name_the_same_layer(name):
    keras = f"block{name[4]}_conv{name[6]}"
    assert layers.parse(keras) == layers.parse(name) == layers.Layer(name, False)
    assert layers.parse(f"{keras}:pre") == layers.Layer(name, True)
    assert str(layers.parse(f"{keras}:pre")) == f"{name}:pre"


@pytest.mark.parametrize("text", ["conv1_3", "conv6_1", "block2_conv3", "relu1_1", "", "conv4_2:p"])
def test_an_unknown_layer_is_one_line_that_lists_the_known_ones(text):
    with pytest.raises(SettingsError, match="conv5_4") as caught:
        layers.parse(text)
    assert repr(text) in str(caught.value) and "\n" not in str(caught.value)


def test_smallest_size_and_its_error():
    assert layers.smallest_size([layers.Layer("conv1_1")]) == 1
    assert layers.smallest_size(map(layers.parse, ["conv1_1", "conv5_1"])) == 16
    layers.check_size(16, 40, [layers.Layer("conv5_1")])
    with pytest.raises(
        SettingsError, match=r"40x15 pixels are too few for conv5_1: it takes at least 16x16"
    ):
        layers.check_size(15, 40, [layers.Layer("conv5_1")])
