"""`nst-tf stylize` from a checkout: python scripts/stylize.py CONTENT STYLE -o OUT."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nst_tf.apps.main import main

if __name__ == "__main__":
    sys.exit(main(["stylize", *sys.argv[1:]]))
