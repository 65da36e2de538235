"""Grids of runs: the same pictures as runs alone, each made once, whatever stops them."""

import json
import threading

import numpy as np
import pytest
from PIL import Image

from nst_tf import assets
from nst_tf.errors import NSTError
from nst_tf.experiments import grid as grids
from nst_tf.experiments.plan import Inputs
from nst_tf.experiments.sweeps import SWEEPS
from nst_tf.run import workshop as workshop_module
from nst_tf.run.transfer import StyleTransfer

BETAS = ("0.1", "1", "10", "30", "100", "1000")


@pytest.fixture(scope="module")
def plan():
    def make(name="ratio", values=BETAS, styles=(str(assets.PAINTING),), **changes):
        changes = {"size": 36, "evaluations": 4, **changes}
        return SWEEPS[name](Inputs(str(assets.SCENE), styles, "mini", None, changes, tuple(values)))

    return make


@pytest.fixture(scope="module", autouse=True)
def workshop():
    """One for the grids of this module: compiling is what takes the time."""
    shared = grids.Workshop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids, "Workshop", lambda: shared)
        yield shared


def make(made, folder, **options):
    return Grid(made.cells, Options(folder), bar=False, **options)


def pixels(folder):
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def changed(folder, before):
    return {name for name, time in times(folder).items() if before.get(name) != time}


@pytest.fixture(scope="module")
def done(plan, tmp_path_factory):
    """A plan, its folder, its manifests and what the one workshop of its runs compiled."""
    folder, objectives = tmp_path_factory.mktemp("grid"), []

    class Workshop(workshop_module.Workshop):
        def objective(self, *arguments, **options):
            objectives.append(super().objective(*arguments, **options))
            return objectives[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids, "Workshop", Workshop)
        made = plan()
        return made, folder, make(made, folder).run(), objectives


def test_the_runs_are_those_that_would_be_made_alone(done):
    made, folder, manifests, _ = done
    assert list(manifests) == [cell.name for cell in made.cells]
    for cell in made.cells[::3]:
        result = StyleTransfer(
            cell.content, list(cell.styles), preset=cell.settings, weights="mini"
        ).run()
        np.testing.assert_array_equal(pixels(folder)[f"{cell.name}.png"], np.asarray(result.image))
        totals = [
            [row["total"] for row in one]
            for one in (result.history, manifests[cell.name]["history"])
        ]
        assert totals[0] == totals[1]


def test_a_grid_of_one_function_compiles_once(done):
    objectives = done[3]
    assert len(objectives) >= 6 and len({id(one) for one in objectives}) == 1
    assert objectives[0].traces == 1


def test_what_is_done_is_not_done_again(done, plan):
    made, folder, manifests, _ = done
    before = times(folder)
    assert make(made, folder).run() == json.loads(json.dumps(manifests))
    assert not changed(folder, before)
    make(plan(values=(*BETAS, "5")), folder).run()
    assert changed(folder, before) == {"beta-5.png", "beta-5.json"}


@pytest.mark.parametrize("spoil", ["beta-1.png", "beta-1.json", "text"])
def test_what_is_missing_is_done_again(done, plan, tmp_path, spoil):
    made = plan(values=("1", "10"))
    make(made, tmp_path).run()
    before = times(tmp_path)
    if spoil == "text":
        (tmp_path / "beta-1.json").write_text("[1, 2")
    else:
        (tmp_path / spoil).unlink()
    assert len(make(made, tmp_path).run()) == 2
    assert changed(tmp_path, before) == {"beta-1.png", "beta-1.json"}


def test_a_changed_setting_is_another_run(plan, tmp_path):
    make(plan(values=("1",)), tmp_path).run()
    before = times(tmp_path)
    make(plan(values=("1",), seed=3), tmp_path).run()
    assert changed(tmp_path, before) == {"beta-1.png", "beta-1.json"}


def test_a_run_that_ends_before_its_snapshots_is_done(plan, tmp_path):
    made = plan(values=("1",), snapshots=(2, 50), snapshot_every=3)
    make(made, tmp_path).run()
    before = times(tmp_path)
    assert set(before) == {"beta-1.png", "beta-1.json", "beta-1-0002.png", "beta-1-0003.png"}
    assert len(make(made, tmp_path).run()) == 1
    assert not changed(tmp_path, before)
    (tmp_path / "beta-1-0003.png").unlink()
    make(made, tmp_path).run()
    assert "beta-1-0003.png" in changed(tmp_path, before)


def test_a_run_without_its_logs_is_not_done(plan, tmp_path):
    made, logs = plan(values=("1",)), tmp_path / "logs"
    make(made, tmp_path).run()
    Grid(made.cells, Options(tmp_path, logdir=str(logs)), bar=False).run()
    assert list((logs / "beta-1").iterdir())


@pytest.mark.parametrize("where", ["callback", "thread"])
def test_a_stopped_grid_goes_on(plan, tmp_path, monkeypatch, where):
    made = plan(values=("1", "10", "100"), evaluations=30)
    grid, update = make(made, tmp_path), grids._Progress.update

    def stopping(self, name, done, loss):
        update(self, name, done, loss)
        if name == "beta-10" and done >= 2:
            if where == "callback":
                grid.stop()
            else:
                thread = threading.Thread(target=grid.stop)
                thread.start()
                thread.join()

    monkeypatch.setattr(grids._Progress, "update", stopping)
    assert list(grid.run()) == ["beta-100"]
    assert json.loads((tmp_path / "beta-10.json").read_text())["stopped"] == "interrupted"
    assert not (tmp_path / "beta-1.json").exists()
    before = times(tmp_path)
    monkeypatch.setattr(grids._Progress, "update", update)
    assert len(grid.run()) == 3
    assert not {"beta-100.png", "beta-100.json"} & changed(tmp_path, before)
    assert {one["stopped"] for one in grid.run().values()} == {"finished"}


def broken(plan, tmp_path):
    """Three runs, of which the second's painting is none."""
    styles = [str(assets.PAINTING), str(tmp_path / "no-picture.png"), str(assets.SCENE)]
    (tmp_path / "no-picture.png").write_text("a novel")
    made = plan("styles", ("0.5",), tuple(styles))
    cells = [cell for cell in made.cells if len(cell.styles) == 1]
    assert len(cells) == 3
    return cells


def test_a_run_that_diverges_is_a_result(plan, tmp_path):
    made = plan("learning-rate", ("1e38", "0.02"), optimizer="adam", iterations=3, evaluations=None)
    manifests = make(made, tmp_path).run()
    assert {name: one["stopped"] for name, one in manifests.items()} == {
        "rate-1e+38": "diverged",
        "rate-0.02": "finished",
    }
    again = make(made, tmp_path).run()  # as it was written
    assert again == json.loads(json.dumps(manifests))


def test_a_run_that_fails_leaves_what_is_done(plan, tmp_path):
    cells, folder = broken(plan, tmp_path), tmp_path / "out"
    with pytest.raises(NSTError, match=r"no-picture\.png"):
        Grid(cells, Options(folder), bar=False).run()
    assert set(times(folder)) == {"style-1.png", "style-1.json"}


class Bar(list):
    """What a bar is told, in place of showing it."""

    def __call__(self, total, **_):
        self.total, self.n, self.initial = total, 0, 0
        self.disable, self.texts = False, []
        return self

    def set_postfix_str(self, text, refresh):
        self.texts.append(text)

    def update(self, count):
        self.n += count
        self.append((self.n, self.initial))

    def close(self):
        pass


def test_the_bar_counts_every_step_once(plan, tmp_path, monkeypatch):
    made, again = plan(values=("1", "10")), plan(values=("1", "10", "100"))
    for cells, initial in ((made.cells, 0), (again.cells, 8)):
        bar = Bar()
        monkeypatch.setattr(grids, "tqdm", bar)
        Grid(cells, Options(tmp_path)).run()
        counts = [n for n, _ in bar]
        assert counts == sorted(counts) and bar.n == bar.total == 4 * len(cells)
        assert bar.initial == initial  # steps that took no time
        assert any("runs, beta-1" in text and ": loss " in text for text in bar.texts)
        assert bar.texts[-1] == f"{len(cells)}/{len(cells)} runs"


def test_the_time_left_is_of_what_is_run(monkeypatch, plan):
    """Three runs of four were done; the fourth takes two seconds a step."""
    import tqdm.std as std

    clock = [100.0]
    monkeypatch.setattr(std, "time", lambda: clock[0])
    made = plan(values=("1", "10", "100", "1000"), evaluations=30)
    with grids._Progress(made.cells, True) as progress:
        for cell in made.cells[:3]:
            clock[0] += 0.01
            progress.finish(cell)
        for step in range(1, 4):
            clock[0] += 2
            progress.update(made.cells[3].name, step, 1.0)
        assert "93/120 [00:06<00:54]" in str(progress._bar)


@pytest.mark.slow
def test_two_processes_make_the_same_pictures(done, plan, tmp_path):
    made, folder, manifests, _ = done
    found = make(made, tmp_path, workers=2).run()
    assert set(found) == set(manifests)
    here, there = pixels(folder), pixels(tmp_path)
    for name in there:
        # Sums are split among other numbers of threads.
        np.testing.assert_allclose(there[name].astype(int), here[name].astype(int), atol=1)


@pytest.mark.slow
def test_two_processes_of_which_one_fails(plan, tmp_path):
    cells, folder = broken(plan, tmp_path), tmp_path / "out"
    with pytest.raises(NSTError, match=r"no-picture\.png") as caught:
        Grid(cells, Options(folder), 2, bar=False).run()
    assert "\n" not in str(caught.value)
    for name in ("style-1.json", "style-3.json"):
        if (folder / name).exists():
            assert json.loads((folder / name).read_text())["stopped"] in ("finished", "interrupted")
