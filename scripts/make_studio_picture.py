"""Makes docs/studio.jpg: the studio's page with the two bundled pictures.

    pip install '.[studio]' playwright; python scripts/make_studio_picture.py

Wants Debian's chromium.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import app, flags
from PIL import Image
from playwright.sync_api import sync_playwright

from nst_tf import assets

_OUT = flags.DEFINE_string("out", "docs/studio.jpg", "Where the picture goes.")
_PRESET = flags.DEFINE_string("preset", "crisp", "The recipe of the picture in it.")


def main(_argv: list[str]) -> None:
    program = shutil.which("chromium")
    assert program, "no chromium"
    with tempfile.TemporaryDirectory() as folder:
        words = ("studio", "--nobrowser", "--port=0", f"--dir={folder}", "--weights=mini")
        studio = subprocess.Popen(
            [sys.executable, "-m", "nst_tf.apps.main", *words], stdout=subprocess.PIPE, text=True
        )
        try:
            assert studio.stdout
            address = studio.stdout.readline().split()[-1]
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1240, "height": 860})
                page.goto(address)
                for shelf, name in (("contents", assets.SCENE), ("styles", assets.PAINTING)):
                    page.check(f"#{shelf} .tile[title='{name.name}'] input", force=True)
                page.select_option("[name=preset]", _PRESET.value)
                page.wait_for_selector("#estimate:not(:empty)")
                page.click("#paint")
                page.wait_for_selector("#picture .slider", timeout=300_000)
                page.wait_for_timeout(1000)
                page.evaluate("window.scrollTo(0, 0)")
                shot = Image.open(io.BytesIO(page.screenshot()))
                shot.convert("RGB").save(Path(_OUT.value), quality=88)
                browser.close()
        finally:
            studio.terminate()
            studio.wait(30)


if __name__ == "__main__":
    app.run(main)
