"""`nst-tf train` from a checkout: python scripts/train.py PAINTING --photos=DIR --out=DIR."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nst_tf.apps.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
