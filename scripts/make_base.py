"""The stylizer that trainings begin with, as the package has it: nst_tf/assets/stylizer.npz.

    nst-tf train PAINTINGS... --photos=DIR --out=trained --base=none --steps=5600
    python scripts/make_base.py trained/stylizer.keras nst_tf/assets/stylizer.npz

nst_tf/assets/stylizer.txt says what the file there was made of.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from absl import app

import nst_tf
from nst_tf.stylizer import base


def main(argv: list[str]) -> None:
    if len(argv) != 3:
        raise app.UsageError("name a stylizer and the file to write")
    stylizer = nst_tf.Stylizer.load(argv[1])
    base.save(stylizer, argv[2])
    size = Path(argv[2]).stat().st_size
    print(f"{argv[2]}: {size} bytes, {len(stylizer.paintings)} styles")


if __name__ == "__main__":
    app.run(main)
