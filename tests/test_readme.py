"""README's programs and those of docs/, as printed, one after the other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nst_tf import assets
from nst_tf.pictures import images

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.slow
def test_the_programs_run(tmp_path):
    programs = [
        program
        for page in (README, README.parent / "docs" / "beam.md")
        for program in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S)
    ]
    assert len(programs) >= 5
    # As printed, but for their pictures' size, which is most of their time.
    programs = [re.sub(r"\bsize=\d+", "size=48", program) for program in programs]
    for name in ("photo", "photos/one", "photos/two"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        images.save(images.load(assets.SCENE, 200), tmp_path / f"{name}.jpg")
    for name in ("painting.jpg", "one.jpg", "two.jpg", "faces.png"):
        images.save(images.load(assets.PAINTING, 150), tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", "\n".join(programs)],
        cwd=tmp_path,
        env={**os.environ, "NST_TF_WEIGHTS": "mini"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"out.png", "out.json", "film.webp"} <= {path.name for path in tmp_path.iterdir()}


def test_every_file_that_it_names_is_there():
    """Those of the repository: what a newcomer follows must not lead nowhere."""
    text = README.read_text()
    named = set(
        re.findall(r"`((?:nst_tf|scripts|benchmarks|tests|docs|notebooks)/[\w/.]*\w)`", text)
    )
    named |= set(re.findall(r"\]\(([\w/.]+)\)", text))
    missing = {name for name in named if not (README.parent / name).exists()}
    assert len(named) > 15 and not missing


def test_every_file_of_the_rooms_is_named():
    """The table of rooms, and nothing that is not there: files by their name within the room."""
    text = README.read_text()
    rows = re.findall(r"^\| `(\w+)/` \| (.*) \|$", text, re.M)
    assert len(rows) >= 10
    for room, row in rows:
        folder = README.parent / "nst_tf" / room
        files = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
        named = set(re.findall(r"`(\w+\.py)`", row))
        assert named <= files, (room, named - files)
        if room not in ("apps", "optimizers", "classical"):  # a file a command, or an algorithm
            assert named == files, (room, files - named)
