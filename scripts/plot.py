"""`nst-tf plot` from a checkout: python scripts/plot.py RUN.json -o CURVES.png."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nst_tf.apps.main import main

if __name__ == "__main__":
    sys.exit(main(["plot", *sys.argv[1:]]))
