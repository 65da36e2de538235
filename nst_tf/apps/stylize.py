"""`nst-tf stylize`: a photo and paintings in, a pastiche out."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from nst_tf import files, locks, signals
from nst_tf.apps import command, gpus, run_flags
from nst_tf.classical import methods as classical
from nst_tf.errors import FileError, in_bytes
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images, initial, masks, proof
from nst_tf.pictures.masks import Masked
from nst_tf.recipe import presets
from nst_tf.run import inputs, outlook
from nst_tf.run.output import Output
from nst_tf.watch import reel

if TYPE_CHECKING:
    from nst_tf.recipe.settings import Settings
    from nst_tf.run.record import Result
    from nst_tf.run.transfer import StyleTransfer

USAGE = """
nst-tf stylize CONTENT STYLE[:MASK] [STYLE[:MASK] ...] -o OUT [flags]

Paints the picture CONTENT in the style of STYLE, or of a blend of several; with masks, each where
its MASK is white, and one without a mask in the rest. Writes OUT (PNG, JPEG,
WebP, TIFF or BMP by its suffix) and, beside it, OUT's name with .json: all settings, versions,
hashes and the loss history. Ctrl-C once, SIGTERM or SIGHUP stops after the current step and saves
the best image; with another --method than gatys there is none before the end.

    nst-tf stylize photo.jpg painting.jpg -o out.png --size=512
    nst-tf stylize photo.jpg one.jpg two.jpg -o out.png --style_blend=3,1
    nst-tf stylize photo.jpg one.jpg:sky.png two.jpg -o out.png --protect=faces.png
    nst-tf stylize photo.jpg painting.jpg -o out.png --method=quilting

Flags that are not given keep the preset's value.
"""


#: Optimisation with a network, among the methods; and the flags that the others take, too.
_GATYS = "gatys"
_OF_ALL = ("method", "output", "o", "sheet", "bits", "proof", "size", "seed", "quiet")


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones. None stands for the preset's value."""
    values = flags.FlagValues()
    text = partial(flags.DEFINE_string, flag_values=values)

    text("output", "out.png", "Where the result goes.", short_name="o")
    text("sheet", None, "Also write content | style | result, side by side, to this file.")
    flags.DEFINE_integer(
        "bits", 8, "Bits a channel of the result: 8, or 16 for PNG and TIFF.", flag_values=values
    )
    text(
        "protect",
        None,
        "A mask: the photo stays as it is where this picture is white, in part where it is gray.",
    )
    text(
        "proof",
        None,
        "The ICC profile of a printer and paper, RGB or CMYK: also write how the print will look, "
        "to OUT's name with -proof.png, and say what share of the pixels has colours that the "
        "printer has not.",
    )
    flags.DEFINE_boolean(
        "dry_run",
        False,
        "Say size, scales, evaluations, memory and time, and write nothing.",
        flag_values=values,
    )
    text("film", None, "Also film the run, from first image to last: .mp4, .webp or .gif.")
    flags.DEFINE_integer(
        "film_every", 1, "A frame of the film every so many iterations.", flag_values=values
    )
    flags.DEFINE_boolean(
        "film_curve", False, "Draw the loss beside the film's picture.", flag_values=values
    )
    text(
        "checkpoint",
        None,
        "A folder that the run puts itself aside in, so that the same command goes on from there, "
        "whatever ended it, and makes the picture that it would have made.",
    )
    run_flags.define_checkpoint_every(values)
    flags.DEFINE_enum(
        "method",
        _GATYS,
        [_GATYS, *classical.TRANSFERS],
        "How: by optimisation with a network, or by a method from before neural networks, which "
        "takes --size and --seed alone.",
        flag_values=values,
    )
    run_flags.define_preset(values)
    run_flags.define(values)
    return values


def settings_from(values: flags.FlagValues) -> Settings:
    """The preset's settings with what the flags change.

    Raises:
      SettingsError: a value that cannot be used.
    """
    return presets.settings(values.preset).replace(**run_flags.changes(values, values.preset))


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    arguments = command.parse(values, USAGE, argv, required=2)
    settings = settings_from(values)
    output = Path(values.output)
    content, styles = arguments[0], [masks.parse(argument) for argument in arguments[1:]]
    _check_targets(values, settings, [content, *_files(styles, values.protect)])
    if values.method != _GATYS:
        return _classical(values, settings, arguments)
    tile = run_flags.tile(values)
    settings.check_aim()
    network = weights_module.at_once(presets.network(settings.preset, values.weights))
    _refuse_early(values, settings, content, styles, network)
    painted = initial.is_painted(settings.init)  # by TensorFlow, which is else not waited for
    if painted:
        _begin_tensorflow(values)
    read = inputs.load(settings, content, styles, values.protect)
    height, width, _ = read.content.shape
    target = Output(output, (height, width), values.bits)

    if not painted:
        _begin_tensorflow(values)
    from nst_tf.run.transfer import StyleTransfer
    from nst_tf.watch.watchers import Filming, Watchers

    filming = (values.film_every, values.film_curve)
    watchers = Watchers(
        snapshots_of=output,
        films=(Filming(Path(values.film), *filming),) if values.film else (),
        logdir=Path(values.logdir) if values.logdir else None,
        bar=not values.quiet,
    )
    how = partial(
        StyleTransfer,
        content,
        styles,
        protect=values.protect,
        engine=values.engine,
        dtype=values.dtype,
        max_memory=values.max_memory,
        keep_snapshots=False,
    )
    run = how(
        settings=settings,
        weights=network,
        inputs=read,
        callbacks=() if values.dry_run else watchers(),
        tile=tile,
        checkpoint=None if values.dry_run else values.checkpoint,
        checkpoint_every=values.checkpoint_every,
    )
    if run.checkpoint and run.checkpoint.iteration is not None:
        film = "; the film begins there" if values.film else ""
        print(f"{values.checkpoint}: goes on after iteration {run.checkpoint.iteration}{film}")
    print(command.weights_line(run.weights.source, run.weights.kind))
    print(f"engine: {run.engine} in {run.dtype}; others: --engine, --dtype", flush=True)
    if values.dry_run:
        return _foresee(run, how)
    if run.outlook.tile and values.tile == "auto":
        print(_memory_line(run.outlook), flush=True)
    with signals.stopping(run.stop, lambda: bool(run.history)) as stop:
        result, failure = _painted(run)
        target.save(result.array, result.manifest)
        print(f"{output}: {_summary(result)}")
        _save_proof(values.proof, output, result.array)
        _save_sheet(values.sheet, [run.content, *run.styles, result.array])
    if failure:
        raise failure
    return stop.code if result.stopped == "interrupted" else 0


def _begin_tensorflow(values: flags.FlagValues) -> None:
    command.import_tensorflow()
    run_flags.determine(values)


def _painted(run: StyleTransfer) -> tuple[Result, Exception | None]:
    """The result, and what ended the run before its time: whatever that is, the image is saved."""
    try:
        return run.run(), None
    except Exception as error:
        with contextlib.suppress(Exception):  # there is none yet: what went wrong says more
            return run.result(), error
        raise


def _refuse_early(
    values: flags.FlagValues,
    settings: Settings,
    content: str,
    styles: list[str | Masked],
    network: Any,
) -> None:
    """Refuses what memory cannot hold before TensorFlow is loaded."""
    outlook.check_early(
        settings,
        content,
        styles,
        network,
        tile=run_flags.tile(values),
        engine=values.engine,
        dtype=values.dtype,
        within=outlook.room(values.max_memory, gpu=gpus.maker() is not None),
    )


def _foresee(run: Any, how: Callable[..., Any]) -> int:
    """Says what a run will take."""
    from nst_tf.run import forecast

    trial = how(settings=forecast.trial_settings(run), weights=run.weights, tile="off")
    foreseen = forecast.pace(trial).of(run)
    height, width = run.content.shape[:2]
    scales = [max(stage.shape(run.content)) for stage in run.stages]
    each = ", ".join(map(str, dict.fromkeys(scales)))
    print(f"size: {width}x{height}; optimised at {each}")
    print(f"evaluations: about {sum(foreseen.evaluations)}")
    print(_memory_line(run.outlook))
    print(f"time: about {command.duration(foreseen.seconds)}")
    return 0


def _memory_line(foreseen: outlook.Outlook) -> str:
    """What a run takes of what it may, and how."""
    of = f"about {in_bytes(foreseen.peak)} of {in_bytes(foreseen.room)}"
    if foreseen.tile is None:
        return f"memory: {of}"
    whole = in_bytes(foreseen.whole)
    return f"memory: {of}, strip by strip (tile={foreseen.tile}); as a whole {whole}"


def _classical(values: flags.FlagValues, settings: Settings, arguments: list[str]) -> int:
    """Paints by a method from before neural networks."""
    command.refuse_others(values, _OF_ALL, f"--method={values.method}")
    masks.refuse(arguments[1:], f"--method={values.method}")
    if len(arguments) > 2:
        raise command.UsageError(f"--method={values.method} takes one style image: name one")
    for picture in arguments:
        images.load(picture, settings.size)
    command.import_tensorflow()
    from nst_tf.run import classical_work, one_go
    from nst_tf.watch.progress_bar import share_bar

    output = Path(values.output)
    content, style = arguments
    work = classical_work.Painting(
        values.method, values.method, content, style, settings.size, output, settings.seed
    )
    pictures = work.load()
    with share_bar(shown=not values.quiet) as report:
        manifest, made = one_go.make(work, pictures, report, values.bits)
    print(f"{output}: {manifest['paper']}; {manifest['seconds']:.0f} s")
    _save_proof(values.proof, output, made)
    _save_sheet(values.sheet, [*pictures, made])
    return 0


def _save_proof(profile: str | None, output: Path, picture: np.ndarray) -> None:
    """Writes how a result prints beside it, and into its manifest how much of it does not."""
    if not profile:
        return
    from nst_tf.run import record

    made, path = proof.soft_proof(picture, profile), proof.proof_path(output)
    images.save(made.picture, path)
    told = {"profile": record.identity_of(profile), "printer": made.printer}
    record.add(output, picture, {"proof": {**told, "outside": made.outside}})
    share = f"{made.outside:.1%} of the pixels are outside its gamut"
    print(f"{path}: as {made.printer} prints it; {share}")


def _save_sheet(path: str | None, pictures: list[np.ndarray]) -> None:
    if path:
        images.save(images.side_by_side(pictures), path)
        print(f"{path}: content | style | result")


def _files(styles: list[str | Masked], protect: str | None) -> list[str]:
    """Every file that is read for the style images and what is protected."""
    read = [protect] if protect else []
    for style in styles:
        read += [str(style.picture), str(style.mask)] if isinstance(style, Masked) else [style]
    return read


def _check_targets(values: flags.FlagValues, settings: Settings, inputs: list[str]) -> None:
    """Finds out before the long work, not after it, that a result cannot be written."""
    images.check_target(values.output, values.bits)
    files.check_writable(Path(values.output).with_suffix(".json"))
    targets = [Path(values.output)]
    if values.sheet:
        images.check_target(values.sheet)
        targets.append(Path(values.sheet))
    if values.checkpoint:
        files.check_folder(Path(values.checkpoint))
        if not values.dry_run:
            locks.check(Path(values.checkpoint))
    elif values["checkpoint_every"].present:
        raise command.UsageError("--checkpoint_every is of a --checkpoint: name its folder")
    if values.film:
        targets.append(Path(values.film))
        reel.check(targets[-1], values.film_every)
    if values.logdir:
        files.check_folder(Path(values.logdir))
    if values.proof:
        proof.Printer(values.proof)
        targets.append(proof.proof_path(targets[0]))
        images.check_target(targets[-1])
    for target, other in itertools.combinations(targets, 2):
        if target.resolve() == other.resolve():
            raise FileError(f"two outputs are both {target}: name another file")
    inputs = [*inputs, *initial.files(settings.init)]
    for target in targets:
        if any(target.resolve() == Path(os.path.realpath(picture)) for picture in inputs):
            raise FileError(f"{target} is one of the pictures to read: name another output")


def _summary(result: Any) -> str:
    last, manifest = result.history[-1], result.manifest
    saved = manifest["saved_total"]
    return (
        f"{result.stopped} after {last['iteration']} iterations, {last['evaluations']} "
        f"evaluations, {last['seconds']:.0f} s; loss {result.history[0]['total']:.4g} -> "
        f"{manifest['total']:.4g}" + ("" if saved is None else f", {saved:.4g} as saved")
    )
