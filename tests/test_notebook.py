"""The notebook: as it lies in the checkout, run, clean and small; and run anew."""

import base64
import io
import json
import re

import nbformat
import pytest
import run_notebook
from PIL import Image
from run_notebook import NOTEBOOK

#: The cell that imports and defines; every other one shows something.
SILENT = "parameters"


@pytest.fixture(scope="module")
def notebook():
    return json.loads(NOTEBOOK.read_text("utf-8"))


@pytest.fixture(scope="module")
def cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(cells):
    return [output for cell in cells for output in cell["outputs"]]


def printed(cells):
    return "".join(line for output in outputs(cells) for line in output.get("text", ()))


def test_it_was_run_from_top_to_bottom(cells):
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert [cell["id"] for cell in cells if not cell["outputs"]] == [SILENT]


def test_its_outputs_are_prints_and_figures(cells):
    for output in outputs(cells):
        kind = output["output_type"]
        assert kind in ("display_data", "stream"), output
        if kind == "stream":
            assert output["name"] == "stdout"
            assert "WARNING" not in "".join(output["text"])


def test_its_figures_are_pictures_of_some_detail(cells):
    figures = [output["data"] for output in outputs(cells) if "data" in output]
    assert len(figures) >= 8
    for data in figures:
        picture = Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"])))
        assert picture.width <= 1000
        assert picture.convert("L").entropy() > 1


def test_its_checks_came_out_true(cells):
    assert_true(printed(cells))


@pytest.mark.slow
def test_it_runs_anew():
    """Smaller, with few evaluations: no cell fails, and what it checks is true of it as well."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    parameters = notebook.cells[1]
    for as_read, here in (("SIZE = 256", "SIZE = 128"), ("EVALUATIONS = 80", "EVALUATIONS = 4")):
        assert as_read in parameters.source
        parameters.source = parameters.source.replace(as_read, here)
    run_notebook.run(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert_true(printed(cells))
    assert sum("data" in output for output in outputs(cells)) >= 8


def assert_true(text):
    assert text.count("True") == 2
    assert "False" not in text
    by_hand, by_package = re.search(r"([\d.]+) by hand, ([\d.]+) by the package", text).groups()
    assert float(by_hand) == pytest.approx(float(by_package), rel=1e-3)


def test_nothing_of_the_machine_that_ran_it_is_left(notebook, cells):
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert not any(cell["metadata"] for cell in notebook["cells"])
    readable = "".join(line for cell in notebook["cells"] for line in cell["source"])
    readable += printed(cells)
    assert not re.search(r"/(home|Users|root|tmp|usr|opt|var)/|[A-Z]:\\", readable)


def test_it_is_small():
    assert NOTEBOOK.stat().st_size < 1.5e6
