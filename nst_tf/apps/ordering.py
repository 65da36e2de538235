"""What a command is to paint in what, and how: by its arguments and flags, or by a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from absl import flags

from nst_tf.apps import command, run_flags
from nst_tf.batch import names, orders
from nst_tf.batch.orders import Order
from nst_tf.errors import SettingsError
from nst_tf.pictures import masks
from nst_tf.recipe import presets
from nst_tf.recipe.settings import Settings

#: Names of columns and what they say.
Cells = tuple[tuple[str, str], ...]
#: The columns of a table that say how a picture is made; others are words for its name.
_COLUMNS = ("preset", "weights", *run_flags.SETTINGS)


def define(values: flags.FlagValues) -> None:
    """Defines the flags that say it, but for those of `run_flags`."""
    text = partial(flags.DEFINE_string, flag_values=values)
    flags.DEFINE_list(
        "styles",
        [],
        "Paintings: files, folders or patterns. With --stylizer names of its paintings, or mixes "
        "such as scream=1+starry_night=3; by default each of them.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "pairs",
        False,
        "The first photo in the first painting, the second in the second, ...",
        flag_values=values,
    )
    text(
        "names",
        names.TEMPLATE,
        "What pictures are called: with {content}, {style}, {folder} (the photo's), {number} and "
        "the columns of a table; a slash makes subfolders, a suffix such as .jpg another format.",
    )
    text(
        "stylizer",
        None,
        "Paint in one pass by this network, stylizer.keras of nst-tf train; --strength is how much "
        "is painted then, 1 by default.",
    )
    run_flags.define_preset(values)


def painted(values: flags.FlagValues) -> float:
    """How much a stylizer paints."""
    strength = values["strength"].value
    if strength is not None and not 0 <= strength <= 1:
        raise command.UsageError(f"--strength={strength:g}: use a number from 0 to 1")
    return 1.0 if strength is None else float(strength)


def ordered(
    values: flags.FlagValues,
    arguments: Sequence[str],
    files: Callable[[Sequence[str]], list[str]] = orders.files,
) -> list[Order]:
    """What is to be painted in what.

    Args:
      values: the command's flags.
      arguments: photos, or a table.
      files: which files paths, folders and patterns stand for.

    Raises:
      UsageError, NSTError: what cannot be used, in one line.
    """
    masks.refuse(values.styles, "a batch")
    styles = list(values.styles)
    if not values.stylizer:
        styles = files(styles) if styles else []
    if values.stylizer and not styles:
        from nst_tf.stylizer.network import Stylizer

        styles = Stylizer.load(values.stylizer).paintings
    tables = [argument for argument in arguments if orders.is_table(argument)]
    if tables:
        if len(arguments) > 1 or values.pairs:
            raise command.UsageError(f"{tables[0]} is a table: name it alone, without --pairs")
        found = orders.read(tables[0], styles, files_of_styles=not values.stylizer)
        for order in found:
            _check_columns(values, order)
        return found
    if not styles:
        raise command.UsageError("name the paintings: --styles=STYLE,...")
    contents = files(arguments)
    return orders.paired(contents, styles) if values.pairs else orders.crossed(contents, styles)


def _check_columns(values: flags.FlagValues, order: Order) -> None:
    """Raises SettingsError where a line says what nothing heeds."""
    wanted = names.fields_of(values.names)
    heeded = () if values.stylizer else _COLUMNS
    for name in order.cells:
        if name not in heeded and name not in wanted:
            known = "with --stylizer it is" if values.stylizer else "it is no setting and"
            raise SettingsError(
                f"{order.place} has a column {name!r} that nothing heeds: {known} of use in --names"
                " alone"
            )


def cells(order: Order) -> Cells:
    """What a line says of how its picture is made."""
    return tuple((name, text) for name, text in order.cells.items() if name in _COLUMNS)


def recipes(values: flags.FlagValues, given: Sequence[Order]) -> list[tuple[Settings, str]]:
    """The settings and the network of each picture; the same object where lines say the same of it.

    Raises:
      SettingsError: a value that cannot be used.
    """
    known: dict[Cells, tuple[Settings, str]] = {}
    for order in given:
        if cells(order) not in known:
            known[cells(order)] = made = recipe(values, order)
            made[0].check_aim()
    return [known[cells(order)] for order in given]


def distinct(given: Sequence[tuple[Settings, str]]) -> list[tuple[Settings, str]]:
    """Of `recipes` each object once."""
    return list({id(one): one for one in given}.values())


def recipe(values: flags.FlagValues, order: Order) -> tuple[Settings, str]:
    """The settings and the network of one picture: the command's, with what its line changes.

    Raises:
      SettingsError: a value that cannot be used.
    """
    try:
        row = run_flags.of_words(dict(cells(order)))
        preset = row.preset or values.preset
        changes = {**run_flags.changes(values, preset), **run_flags.changes(row, preset)}
        return presets.settings(preset, **changes), row.weights or values.weights
    except SettingsError as error:
        where = f"{order.place}: " if order.place else ""
        raise SettingsError(f"{where}{error}") from error
