"""Runs notebooks/style_transfer.ipynb with `mini` and keeps its outputs, clean, in the file.

    python scripts/run_notebook.py

TensorFlow's notices, which newer versions write whatever their log level is, the times of cells
and the machine's own versions are left out.
"""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
from absl import app
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "style_transfer.ipynb"


def run(notebook: nbformat.NotebookNode) -> None:
    """Runs the cells in a process of their own, which takes `mini`, and puts in their outputs.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell that fails, with its traceback.
    """
    environment = {**os.environ, "NST_TF_WEIGHTS": "mini"}
    NotebookClient(notebook, record_timing=False).execute(env=environment)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    notebook.metadata["language_info"] = {"name": "python"}


def main(argv: list[str]) -> None:
    if argv[1:]:
        raise app.UsageError("it takes no arguments")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    run(notebook)
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    app.run(main)
