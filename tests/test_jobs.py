"""Many runs: the same pictures as runs alone, each made once, whatever stops them."""

import hashlib
import io
import json
import random
import re
import shutil
import threading

import numpy as np
import pytest
from PIL import Image
from test_locks import held

from nst_tf import assets
from nst_tf.errors import FileError, NSTError, OutputError, PictureError, SettingsError
from nst_tf.experiments.grid import Folder
from nst_tf.experiments.plan import Inputs
from nst_tf.experiments.sweeps import SWEEPS
from nst_tf.pictures import images
from nst_tf.run import job as job_module
from nst_tf.run.jobs import Engine, Jobs
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop
from nst_tf.watch.progress_bar import JobsBar
from nst_tf.watch.watchers import Filming, Watchers

SHALLOW = {"content_layers": {"conv1_2": 1.0}, "style_layers": {"conv1_1": 1.0}}
BETAS = ("0.1", "1", "10", "30", "100", "1000")


@pytest.fixture(scope="module")
def plan():
    def make(name="ratio", values=BETAS, styles=(str(assets.PAINTING),), **changes):
        # Adam's step is the quickest to compile, and two layers' losses.
        changes = {"size": 36, "evaluations": 4, "optimizer": "adam", **SHALLOW, **changes}
        return SWEEPS[name](Inputs(str(assets.SCENE), styles, "mini", None, changes, tuple(values)))

    return make


class Counting(Workshop):
    """Keeps every objective that it hands out."""

    def __init__(self):
        super().__init__()
        self.objectives = []

    def objective(self, *arguments, **options):
        self.objectives.append(super().objective(*arguments, **options))
        return self.objectives[-1]


@pytest.fixture(scope="module")
def make():
    """Jobs of a plan, in one workshop: compiling is what takes the time."""
    shared = Workshop()

    def jobs(made, folder, logdir=None, **options):
        options = {"workshop": shared, **options}
        return Jobs(Folder(folder, logdir).jobs(made.cells), **options)

    return jobs


def pixels(folder):
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def changed(folder, before):
    return {name for name, time in times(folder).items() if before.get(name) != time}


@pytest.fixture(scope="module")
def done(plan, make, tmp_path_factory):
    """A plan, its folder, its manifests and the objectives of its runs."""
    folder, workshop, made = tmp_path_factory.mktemp("jobs"), Counting(), plan()
    manifests = make(made, folder, workshop=workshop).run()
    return made, folder, manifests, workshop.objectives


def test_the_runs_are_those_that_would_be_made_alone(done):
    made, folder, manifests, _ = done
    assert list(manifests) == [cell.name for cell in made.cells]
    workshop = Workshop()
    for cell in made.cells[::3]:
        result = StyleTransfer(
            cell.content,
            list(cell.styles),
            settings=cell.settings,
            weights="mini",
            workshop=workshop,
        ).run()
        np.testing.assert_array_equal(pixels(folder)[f"{cell.name}.png"], np.asarray(result.image))
        assert [row["total"] for row in result.history] == [
            row["total"] for row in manifests[cell.name]["history"]
        ]


def test_jobs_of_the_same_function_compile_once(done):
    objectives = done[3]
    assert len(objectives) >= 6 and len({id(objective) for objective in objectives}) == 1
    assert objectives[0].traces == 1


def test_what_is_done_is_not_done_again(done, plan, make):
    made, folder, manifests, _ = done
    before = times(folder)
    assert make(made, folder).run() == json.loads(json.dumps(manifests))
    assert not changed(folder, before)
    make(plan(values=(*BETAS, "5")), folder).run()
    assert changed(folder, before) == {"beta-5.png", "beta-5.json"}


@pytest.mark.parametrize("spoil", ["beta-1.png", "beta-1.json", "text"])
def test_what_is_missing_is_done_again(done, plan, make, tmp_path, spoil):
    made = plan(values=("1", "10"))
    make(made, tmp_path).run()
    before = times(tmp_path)
    if spoil == "text":
        (tmp_path / "beta-1.json").write_text("[1, 2")
    else:
        (tmp_path / spoil).unlink()
    assert len(make(made, tmp_path).run()) == 2
    assert changed(tmp_path, before) == {"beta-1.png", "beta-1.json"}


def test_a_changed_setting_is_another_run(plan, make, tmp_path):
    make(plan(values=("1",)), tmp_path).run()
    before = times(tmp_path)
    make(plan(values=("1",), seed=3), tmp_path).run()
    assert changed(tmp_path, before) == {"beta-1.png", "beta-1.json"}


def test_a_run_that_ends_before_its_snapshots_is_done(plan, make, tmp_path):
    made = plan(values=("1",), snapshots=(2, 50), snapshot_every=3)
    make(made, tmp_path).run()
    before = times(tmp_path)
    assert set(before) == {"beta-1.png", "beta-1.json", "beta-1-0002.png", "beta-1-0003.png"}
    assert len(make(made, tmp_path).run()) == 1
    assert not changed(tmp_path, before)
    (tmp_path / "beta-1-0003.png").unlink()
    make(made, tmp_path).run()
    assert "beta-1-0003.png" in changed(tmp_path, before)


def test_a_run_without_its_logs_is_not_done(plan, make, tmp_path):
    made, logs = plan(values=("1",)), tmp_path / "logs"
    make(made, tmp_path).run()
    make(made, tmp_path, logs).run()
    assert list((logs / "beta-1").iterdir())


class KilledError(Exception):
    """In the place of a SIGKILL."""


class Killing:
    """An observer that ends the jobs after so many steps in all; `seen` are these, by job."""

    def __init__(self, after=None):
        self.after, self.seen = after, []

    def update(self, name, done, loss):
        self.seen.append((name, done))
        if len(self.seen) == self.after:
            raise KilledError

    def finish(self, name):
        pass


def killed(jobs):
    with pytest.raises(KilledError):
        jobs.run()


@pytest.fixture(scope="module")
def three(plan, make, tmp_path_factory):
    """Three runs of several steps, and the pictures that they come to."""
    made = plan(values=("1", "10", "100"), evaluations=9)
    make(made, folder := tmp_path_factory.mktemp("three")).run()
    return made, pixels(folder)


def assert_done(folder, wanted):
    """The same pictures, and nothing else."""
    found = pixels(folder)
    assert found.keys() == wanted.keys()
    for name, picture in wanted.items():
        np.testing.assert_array_equal(found[name], picture)
    names = {path.name for path in folder.iterdir()}
    assert names == {name[:-4] + end for name in wanted for end in (".png", ".json")}


def test_what_is_killed_goes_on_in_the_midst_of_a_picture(three, make, tmp_path):
    """At random moments; no step is made twice but the one that a run was ended at."""
    made, wanted = three
    draw, seen = random.Random(0), []
    for _ in range(6):
        observer = Killing(after=draw.randint(2, 6))
        killed(make(made, tmp_path, observer=observer, engine=Engine(checkpoint_every=0)))
        assert [path.name for path in tmp_path.glob(".*")] == [f".{observer.seen[-1][0]}.png.aside"]
        assert seen[-1:] in ([], observer.seen[:1]) or observer.seen[0][0] != seen[-1][0]
        seen += observer.seen
    make(made, tmp_path, observer=(observer := Killing())).run()
    assert len(seen + observer.seen) <= 3 * 9 + 6
    assert_done(tmp_path, wanted)


def test_a_changed_setting_begins_anew(three, plan, make, tmp_path):
    made, wanted = three
    other = plan(values=("100",), evaluations=9, seed=3)
    killed(make(other, tmp_path, observer=Killing(after=5)))
    assert list(tmp_path.glob(".*.aside/iteration-*"))
    make(made, tmp_path, observer=(observer := Killing())).run()
    assert observer.seen[0] == ("beta-100", 1)
    assert_done(tmp_path, wanted)


@pytest.mark.filterwarnings("always:.*is damaged")
@pytest.mark.parametrize("what", ["run.json", "iteration-*/descent.index"])
def test_what_is_damaged_begins_anew_and_says_so(three, make, tmp_path, what):
    made, wanted = three
    killed(make(made, tmp_path, observer=Killing(after=5)))
    (path,) = tmp_path.glob(f".*.aside/{what}")
    path.write_bytes(b"{")
    with pytest.warns(UserWarning, match="^beta-100 begins anew: .*read"):
        make(made, tmp_path, observer=(observer := Killing())).run()
    assert observer.seen[0] == ("beta-100", 1)
    assert_done(tmp_path, wanted)


def test_what_is_stopped_is_put_aside(three, make, tmp_path):
    made, wanted = three
    observer = Stopping("beta-10", "thread")
    observer.jobs = jobs = make(made, tmp_path, observer=observer)
    assert list(jobs.run()) == ["beta-100"]
    ended = json.loads((tmp_path / "beta-10.json").read_text())["evaluations"]
    make(made, tmp_path, observer=(observer := Killing())).run()
    assert observer.seen[0] == ("beta-10", ended)
    assert_done(tmp_path, wanted)


def test_what_was_put_aside_of_a_run_that_is_done_goes(three, make, tmp_path, monkeypatch):
    """As where it was killed once its picture was there; and what is left of doing away with it."""
    made, wanted = three
    with monkeypatch.context() as patch:
        patch.setattr(job_module.checkpoint, "forget", lambda folder: None)
        make(made, tmp_path, engine=Engine(checkpoint_every=0)).run()
    assert len(list(tmp_path.glob(".*.aside/iteration-*"))) == 3 * 2
    removed, remove = [], shutil.rmtree

    def killing(path, **options):
        removed.append(path)
        if len(removed) == 3:
            raise KilledError
        remove(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killing)
        killed(make(made, tmp_path))
    (tmp_path / "beta-100.png").unlink()  # which needs to be made again, beside half of it
    make(made, tmp_path).run()
    assert_done(tmp_path, wanted)


def test_of_a_run_that_is_done_nothing_is_put_aside(three, make, tmp_path, monkeypatch):
    """It would go at once; half a gigabyte, for a large picture."""
    made, wanted = three
    kept = []
    monkeypatch.setattr(job_module.checkpoint, "_write", lambda place, _: kept.append(place))
    make(made, tmp_path).run()
    assert_done(tmp_path, wanted)
    assert not kept


def test_what_has_to_see_all_of_a_run_begins_anew(three, make, tmp_path, monkeypatch):
    """Half of a film is none."""
    assert Watchers(films=(Filming(tmp_path / "film.webp"),)).see_all and not Watchers().see_all
    made, wanted = three
    monkeypatch.setattr(Watchers, "see_all", True)
    killed(make(made, tmp_path, observer=Killing(after=4)))
    assert not list(tmp_path.iterdir())
    make(made, tmp_path, observer=(observer := Killing())).run()
    assert observer.seen[0] == ("beta-100", 1)
    assert_done(tmp_path, wanted)


def test_a_folder_has_one_grid_at_a_time(three, make, tmp_path):
    made, wanted = three
    with held(tmp_path) as process:
        with pytest.raises(OutputError, match=f"{tmp_path} is in use by another run: wait"):
            make(made, tmp_path, keep_going=True).run()
        process.kill()
        process.wait()
        make(made, tmp_path).run()
    assert_done(tmp_path, wanted)


class Stopping:
    """An observer that stops the jobs in the middle of one."""

    def __init__(self, name, where):
        self.name, self.where, self.jobs, self.finished = name, where, None, []

    def update(self, name, done, loss):
        if self.jobs and name == self.name and done >= 2:
            if self.where == "callback":
                self.jobs.stop()
            else:
                thread = threading.Thread(target=self.jobs.stop)
                thread.start()
                thread.join()

    def finish(self, name):
        self.finished.append(name)


@pytest.mark.parametrize("where", ["callback", "thread"])
def test_stopped_jobs_go_on(plan, make, tmp_path, where):
    made, observer = plan(values=("1", "10", "100"), evaluations=30), Stopping("beta-10", where)
    jobs = make(made, tmp_path, observer=observer)
    observer.jobs = jobs
    assert list(jobs.run()) == observer.finished == ["beta-100"]
    assert json.loads((tmp_path / "beta-10.json").read_text())["stopped"] == "interrupted"
    assert not (tmp_path / "beta-1.json").exists()
    before = times(tmp_path)
    observer.jobs, observer.finished = None, []
    assert len(jobs.run()) == 3 and sorted(observer.finished) == ["beta-1", "beta-10", "beta-100"]
    assert not {"beta-100.png", "beta-100.json"} & changed(tmp_path, before)
    assert {manifest["stopped"] for manifest in jobs.run().values()} == {"finished"}


def broken(plan, tmp_path):
    """Three runs, of which the second's painting is none."""
    styles = [str(assets.PAINTING), str(tmp_path / "no-picture.png"), str(assets.SCENE)]
    (tmp_path / "no-picture.png").write_text("a novel")
    made = plan("styles", ("0.5",), tuple(styles))
    jobs = [job for job in Folder(tmp_path / "out").jobs(made.cells) if len(job.styles) == 1]
    assert len(jobs) == 3
    return jobs


def test_a_run_that_diverges_is_a_result(plan, make, tmp_path):
    made = plan("learning-rate", ("1e38", "0.02"), optimizer="adam", iterations=3, evaluations=None)
    manifests = make(made, tmp_path).run()
    assert {name: manifest["stopped"] for name, manifest in manifests.items()} == {
        "rate-1e+38": "diverged",
        "rate-0.02": "finished",
    }
    again = make(made, tmp_path).run()  # as it was written
    assert again == json.loads(json.dumps(manifests))


def test_a_run_that_fails_leaves_what_is_done(plan, tmp_path):
    with pytest.raises(NSTError, match=r"no-picture\.png"):
        Jobs(broken(plan, tmp_path)).run()
    assert set(times(tmp_path / "out")) == {"style-1.png", "style-1.json"}


class Seen(JobsBar):
    """Keeps the bar as it stands after everything that it is told."""

    def __init__(self, jobs, clock=None):
        super().__init__(jobs, stream=io.StringIO())
        self.clock, self.texts = clock, [str(self)]

    def update(self, name, done, loss):
        self.clock[0] += 2
        super().update(name, done, loss)
        self.texts.append(str(self))

    def finish(self, name):
        super().finish(name)
        self.texts.append(str(self))

    @property
    def counts(self):
        counts = [re.search(r" (\d+)/(\d+) \[", text).groups() for text in self.texts]
        return [(int(done), int(total)) for done, total in counts]


@pytest.fixture
def clock(monkeypatch):
    """The bars' clock, in seconds, which stands still by itself."""
    import tqdm.std as std

    now = [100.0]
    monkeypatch.setattr(std, "time", lambda: now[0])
    return now


def test_the_bar_counts_every_step_once(plan, make, tmp_path, clock):
    made, again = plan(values=("1", "10")), plan(values=("0.1", "1", "10"))
    for cells, skipped in ((made.cells, 0), (again.cells, 8)):
        total, jobs = 4 * len(cells), Folder(tmp_path).jobs(cells)
        with Seen(jobs, clock) as bar:
            make(made if skipped == 0 else again, tmp_path, observer=bar).run()
        counts = [n for n, _ in bar.counts]
        assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == total
        assert {of for _, of in bar.counts} == {total}
        assert any(re.search(r"runs, beta-[\d.]+: loss [\d.]+", text) for text in bar.texts)
        assert f"{len(cells)}/{len(cells)} runs" in bar.texts[-1]
        # The first step that takes time, two seconds; those of runs that were done took none.
        first = next(text for text in bar.texts if "loss" in text)
        left = 2 * (total - skipped - 1)
        assert f" {skipped + 1}/{total} [00:02<00:{left:02}]" in first


def test_the_time_left_is_of_what_is_run(plan, tmp_path, clock):
    """Three runs of four were done; the fourth takes two seconds a step."""
    made = plan(values=("1", "10", "100", "1000"), evaluations=30)
    jobs = Folder(tmp_path).jobs(made.cells)
    with JobsBar(jobs, stream=io.StringIO()) as bar:
        for job in jobs[:3]:
            clock[0] += 0.01
            bar.finish(job.name)
        for step in range(1, 4):
            clock[0] += 2
            bar.update(jobs[3].name, step, 1.0)
        assert "93/120 [00:06<00:54]" in str(bar)


def test_steps_before_a_run_was_put_aside_are_no_speed(plan, tmp_path, clock):
    made = plan(values=("1", "10"), evaluations=30)
    with JobsBar(Folder(tmp_path).jobs(made.cells), stream=io.StringIO()) as bar:
        for step in (21, 22, 23):
            clock[0] += 2
            bar.update(made.cells[0].name, step, 1.0)
        assert "23/60 [00:06<01:14]" in str(bar)


def test_a_bar_that_is_not_shown_writes_nothing(plan, make, tmp_path):
    made, stream = plan(values=("1",)), io.StringIO()
    with JobsBar(Folder(tmp_path).jobs(made.cells), shown=False, stream=stream) as bar:
        for _ in range(2):
            make(made, tmp_path, observer=bar).run()
    assert stream.getvalue() == ""


def test_a_changed_file_to_start_from_is_another_run(plan, make, tmp_path):
    start, folder = tmp_path / "start.png", tmp_path / "out"
    pixels = images.load(assets.SCENE, 36)
    images.save(pixels, start)
    made = plan(values=("1",), init=f"{start}=1,noise=0.1")
    (manifest,) = make(made, folder).run().values()
    assert manifest["init"][0]["sha256"] == hashlib.sha256(start.read_bytes()).hexdigest()
    before = times(folder)
    start.touch()
    make(made, folder).run()
    assert not changed(folder, before)
    images.save(1 - pixels, start)
    make(made, folder).run()
    assert changed(folder, before) == {"beta-1.png", "beta-1.json"}


def test_snapshots_are_written_and_not_kept(plan, make, tmp_path, monkeypatch):
    results = []

    class Recorded(StyleTransfer):
        def run(self):
            results.append(super().run())
            return results[-1]

    monkeypatch.setattr(job_module, "StyleTransfer", Recorded)
    make(plan(values=("1",), snapshots=(1, 2)), tmp_path).run()
    assert [result.snapshots for result in results] == [{}]
    assert {"beta-1-0001.png", "beta-1-0002.png"} < set(times(tmp_path))


def test_what_a_run_that_failed_left_is_taken_for_no_other(plan, make, tmp_path, monkeypatch):
    """Its snapshots are there, beside the manifest of a run with other settings."""
    options = {"values": ("1",), "snapshots": (1,), "init": "noise"}
    first, second = (plan(**options, seed=seed) for seed in (1, 2))
    make(first, tmp_path).run()
    before = pixels(tmp_path)

    class Failing(StyleTransfer):
        def result(self):
            raise PictureError("no space left")

    with monkeypatch.context() as patch, pytest.raises(PictureError, match="no space"):
        patch.setattr(job_module, "StyleTransfer", Failing)
        make(second, tmp_path).run()
    assert (pixels(tmp_path)["beta-1-0001.png"] != before["beta-1-0001.png"]).any()
    make(first, tmp_path).run()
    for name, picture in pixels(tmp_path).items():
        np.testing.assert_array_equal(picture, before[name])


def test_no_jobs_are_done_at_once():
    assert Jobs([]).run() == {}


def test_a_folder_that_cannot_be_is_one_line(plan, make, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="is no folder") as caught:
        make(plan(values=("1",)), tmp_path / "file" / "below").run()
    assert not isinstance(caught.value, PictureError) and "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_all_may_take_is_shared(plan, make, tmp_path, workers):
    jobs = make(
        plan(values=("1", "2")), tmp_path, engine=Engine(max_memory="4MiB"), workers=workers
    )
    said = "max_memory is 4MiB" if workers == 1 else "each of 2 workers may take 2 MiB"
    with pytest.raises(SettingsError, match=f"and {said}: no size fits"):
        jobs.run()


@pytest.mark.slow
def test_two_processes_make_the_same_pictures(done, plan, make, tmp_path):
    made, folder, manifests, _ = done
    shared = make(made, tmp_path, workers=2).run()
    assert set(shared) == set(manifests)
    here, there = pixels(folder), pixels(tmp_path)
    for name in there:
        # Sums are split among other numbers of threads.
        np.testing.assert_allclose(there[name].astype(int), here[name].astype(int), atol=1)


@pytest.mark.slow
def test_two_processes_of_which_one_fails(plan, make, tmp_path):
    jobs, folder = broken(plan, tmp_path), tmp_path / "out"
    with pytest.raises(NSTError, match=r"no-picture\.png") as caught:
        Jobs(jobs, workers=2).run()
    assert "\n" not in str(caught.value)
    for name in ("style-1.json", "style-3.json"):
        if (folder / name).exists():
            assert json.loads((folder / name).read_text())["stopped"] in ("finished", "interrupted")
