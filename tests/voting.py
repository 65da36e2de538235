"""Two folders of results to vote on, and made-up answers."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from nst_tf.apps import command
from nst_tf.apps import vote as app
from nst_tf.judge import vote

#: One colour a folder, so that a picture says whose it is.
COLOURS = {"gatys": "red", "adain": "blue", "contents": "lime", "styles": "yellow"}
NAMES = [f"photo{k}--wave" for k in range(4)]


def run(*arguments):
    return command.run("vote", app.main, [str(argument) for argument in arguments])


def paint(path, colour, size=(48, 32)) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def folders(root) -> tuple[Path, Path]:
    """Two methods' results of four pairs, and of each one that the other has not."""
    for method in ("gatys", "adain"):
        for name in [*NAMES, f"only of {COLOURS[method]}"]:
            paint(root / method / f"{name}.png", COLOURS[method])
        (root / method / "notes.txt").touch()
    paint(root / "adain" / f"{NAMES[0]}.png", "blue").rename(root / "adain" / f"{NAMES[0]}.PNG")
    for k in range(4):
        paint(root / "contents" / f"photo{k}.jpg", "lime")
    paint(root / "styles" / "wave.jpg", "yellow")
    return root / "gatys", root / "adain"


def make_page(root) -> Path:
    """A folder with `vote.html`, a page of four pairs, of which two come again."""
    inputs = (f"--contents={root / 'contents'}", f"--styles={root / 'styles'}")
    assert run(*folders(root), *inputs, f"--out={root / 'vote.html'}", "--repeats=2") == 0
    return root


def votes(content=(13, 20), style=(19, 20), wall=(1, 20), alike=3, sitting="one"):
    """Made-up answers: of so many pairs so many times gatys; of four repeats so many alike."""
    answers = [{"pair": f"p{k}", "repeat": False, "left": "adain"} for k in range(20)]
    for name, (chosen, total) in {"content": content, "style": style, "wall": wall}.items():
        for k, answer in enumerate(answers[:total]):
            answer[name] = "gatys" if k < chosen else "adain"
    other = {"gatys": "adain", "adain": "gatys"}
    for k, answer in enumerate(answers[:4]):
        again = {key: answer[key] if k < alike else other[answer[key]] for key in vote.QUESTIONS}
        answers.append({"pair": answer["pair"], "repeat": True, "left": "gatys", **again})
    return {
        "nst_tf": "0",
        "seed": 0,
        "methods": ["gatys", "adain"],
        "sitting": sitting,
        "answers": answers,
    }


def write(folder, *files) -> list[Path]:
    paths = [folder / f"answers-{k}.json" for k in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return paths
