"""The flags that say how a run is made, which every command that makes runs shares.

Those of `Settings` are made from its fields, whose help and choices stand there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from absl import flags

from nst_tf.errors import SettingsError
from nst_tf.recipe import choices, layers, presets
from nst_tf.recipe.settings import KEYS, Settings
from nst_tf.run import outlook

#: What defines the flag of a field, by the field's type.
_DEFINERS = {
    "str": flags.DEFINE_string,
    "str | Any": flags.DEFINE_string,
    "bool": flags.DEFINE_boolean,
    "int": flags.DEFINE_integer,
    "int | None": flags.DEFINE_integer,
    "float": flags.DEFINE_float,
    "float | None": flags.DEFINE_float,
    "tuple[int, ...]": flags.DEFINE_list,
    "tuple[float, ...]": flags.DEFINE_list,
    "Mapping[str, float]": flags.DEFINE_list,
}
#: Sizes in pixels, of which 0 is None.
_SIZES = ("size", "style_size", "min_scale", "max_scale")


def _fields() -> dict[str, dataclasses.Field[Any]]:
    """The fields of `Settings` that have a flag of their own: all but the preset's name."""
    return {field.name: field for field in dataclasses.fields(Settings) if field.name != "preset"}


#: The names of all of them.
SETTINGS = tuple(_fields())


def define_preset(values: flags.FlagValues) -> None:
    """Defines --preset, of commands that begin with the default one."""
    flags.DEFINE_enum(
        "preset",
        presets.DEFAULT,
        list(presets.PRESETS),
        "Recipe to start from.",
        flag_values=values,
    )


def define_recipe(values: flags.FlagValues) -> None:
    """Defines those that say what a run makes. None stands for the preset's value."""
    flags.DEFINE_string(
        "weights",
        "auto",
        "The network: 'imagenet' (VGG19, Keras' download), 'mini' (built in, fast), 'random', or a "
        ".h5, .weights.h5 or .npz file. 'auto' takes the preset's own (draft: mini), else "
        "$NST_TF_WEIGHTS, else VGG19 if Keras has it already, else mini.",
        flag_values=values,
    )
    define_settings(values, SETTINGS)


def define(values: flags.FlagValues) -> None:
    """Defines them among a command's flags."""
    define_recipe(values)
    flags.DEFINE_string(
        "logdir",
        None,
        "Also write curves and images for TensorBoard to this folder; of a grid, to a folder in it "
        "for each run.",
        flag_values=values,
    )
    define_engine(values)


def define_engine(values: flags.FlagValues) -> None:
    """Defines those that say how runs are computed and shown, not what they make."""
    one_of = partial(flags.DEFINE_enum, flag_values=values)
    flags.DEFINE_string(
        "tile",
        "auto",
        "Measure large pictures strip by strip, about so many pixels square at a time: 'auto' "
        "where memory would not do, 'off', or a number. The result is the same.",
        flag_values=values,
    )
    define_max_memory(values)
    one_of(
        "engine",
        "auto",
        list(choices.ENGINES),
        "How the network is computed: Keras' layers, fixed convolutions, or those by Winograd's "
        "algorithm; 'auto' is what suits the machine. The result is the same to rounding.",
    )
    one_of("dtype", "auto", list(choices.DTYPES), "What it is computed in; losses are float32.")
    define_deterministic(values)
    flags.DEFINE_boolean("quiet", False, "No progress bar.", flag_values=values)


def define_max_memory(values: flags.FlagValues) -> None:
    """Defines --max_memory, for `check_max_memory`; after --workers, where a command has these."""
    who = "the process" if "workers" not in values else "the process, or all --workers together,"
    flags.DEFINE_string(
        "max_memory",
        None,
        f"What {who} may take of memory, such as 6GiB; without it, four fifths of what is at hand. "
        "A picture that takes more is measured strip by strip (--tile=auto) or refused.",
        flag_values=values,
    )


def check_max_memory(values: flags.FlagValues) -> None:
    """Raises SettingsError where --max_memory is no amount of memory, such as 6GiB: before any
    work is done."""
    if values.max_memory is not None:
        outlook.parse(values.max_memory)


def define_checkpoint_every(values: flags.FlagValues) -> None:
    """Defines --checkpoint_every."""
    flags.DEFINE_float(
        "checkpoint_every",
        60.0,
        "Seconds from one checkpoint of a run to the next; its last step is kept in any case.",
        lower_bound=0.0,
        flag_values=values,
    )


def define_deterministic(values: flags.FlagValues) -> None:
    """Defines --deterministic, for `determine`."""
    flags.DEFINE_boolean(
        "deterministic",
        False,
        "Let TensorFlow take the same way at every run: on a GPU slower, and the same bytes; on a "
        "processor these are the same as without.",
        flag_values=values,
    )


def define_settings(values: flags.FlagValues, names: Sequence[str]) -> None:
    """Defines a flag for each of these fields of `Settings`. None stands for the preset's value."""
    for name in names:
        field = _fields()[name]
        text, known = field.metadata["help"], list(field.metadata["choices"])
        if known:
            flags.DEFINE_enum(name, None, known, text, flag_values=values)
        else:
            _DEFINERS[str(field.type)](name, None, text, flag_values=values)


def changes(values: flags.FlagValues, preset: str) -> dict[str, Any]:
    """The fields of `Settings` that the flags set; fields without a flag are passed over.

    Args:
      values: the flags.
      preset: whose layers' weights hold where a layer is named without.

    Raises:
      SettingsError: a value that cannot be used.
    """
    base = presets.settings(preset)
    given = {}
    for name, field in _fields().items():
        if name not in values or values[name].value is None:
            continue
        value = values[name].value
        if field.metadata["kind"] == KEYS:
            value = parse_layers(value, getattr(base, name))
        elif str(field.type).startswith("tuple"):
            value = _numbers(name, value, int if "int" in str(field.type) else float)
        elif name in _SIZES:
            value = value or None
        given[name] = value
    return given


def of_words(words: Mapping[str, str]) -> flags.FlagValues:
    """Words by the names of flags (`preset`, `weights`, those of settings), read as these are.

    Raises:
      SettingsError: no such flag, or a word that it does not take.
    """
    values = flags.FlagValues()
    flags.DEFINE_enum("preset", None, list(presets.PRESETS), "", flag_values=values)
    flags.DEFINE_string("weights", None, "", flag_values=values)
    define_settings(values, SETTINGS)
    for name in words:  # absl has flags of its own, of which one reads files
        if name not in values:
            raise SettingsError(f"no setting {name!r}")
    try:
        values(["", *(f"--{name}={word}" for name, word in words.items())])
    except flags.Error as error:
        raise SettingsError(str(error)) from error
    return values


def settings_of(words: Mapping[str, str]) -> Settings:
    """The settings that words by the names of flags say, from the default preset on.

    Raises:
      SettingsError: no such flag, or a word that it does not take.
    """
    values = of_words(words)
    preset = values.preset or presets.DEFAULT
    return presets.settings(preset, **changes(values, preset))


def described() -> list[dict[str, Any]]:
    """The settings that have flags, for a page: name, help, what there is to choose from."""
    return [
        {
            "name": name,
            "help": field.metadata["help"],
            "choices": ["true", "false"]
            if field.type == "bool"
            else list(field.metadata["choices"]),
        }
        for name, field in _fields().items()
    ]


def determine(values: flags.FlagValues) -> None:
    """Does what --deterministic asks for, before anything is computed."""
    if values.deterministic:
        from nst_tf.run import computer

        computer.be_deterministic()


def tile(values: flags.FlagValues) -> int | str:
    """--tile as `StyleTransfer` takes it.

    Raises:
      SettingsError: it is none.
    """
    given: str = values.tile
    return choices.check_one_tile(int(given) if given.isdecimal() else given)


def parse_layers(parts: list[str], preset: Mapping[str, float]) -> dict[str, float]:
    """Reads `conv1_1,conv2_1=0.5`. A layer without a weight takes the preset's weight for it, else
    that of the preset's layer in the same block, else the mean of the preset's weights.

    Raises:
      SettingsError: no such layer, or a weight that is no number.
    """
    weights: dict[str, float] = {}
    for part in parts:
        name, separator, number = part.strip().partition("=")
        layer = layers.parse(name)
        if separator:
            weights[str(layer)] = _numbers(f"the weight of {name}", [number], float)[0]
        else:
            weights[str(layer)] = layers.weight_like(layer, preset)
    return weights


def _numbers(name: str, parts: list[str], kind: type) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in parts)
    except ValueError as error:
        raise SettingsError(f"{name}: {','.join(parts)!r} is not made of numbers") from error
