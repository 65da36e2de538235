"""docs/settings.md is what the fields of Settings say, and what they say is true."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import describe_settings
import pytest
import tensorflow as tf

from nst_tf.recipe.settings import DATA, GRAPH, KEYS, KINDS, SWITCH, Settings, setting
from nst_tf.run.workshop import Workshop

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
#: With avg, every other field of the graph has an effect.
BASE = Settings(
    size=32,
    evaluations=3,
    content_layers={"conv2_1": 1.0},
    style_layers={"conv1_1": 1.0, "conv2_2": 2.0},
    structure_layers={"conv2_1": 2.0},
    laplacian_weight=0.5,
    pooling="avg",
)
#: Another value, where the type does not tell one.
OTHERS = {
    "preset": "mine",
    "init": "noise",
    "optimizer": "adam",
    "average": 0.5,
    "strength": 0.75,
    "stroke_sizes": (0.5,),
    "bounded": True,
    "content_share": 0.5,
}


def another(field, value):
    """A value that a field could have as well."""
    if field.name in OTHERS:
        return OTHERS[field.name]
    if field.metadata.get("choices"):
        return next(choice for choice in field.metadata["choices"] if choice != value)
    if isinstance(value, dict):
        return {key: 3.0 + number for number, key in enumerate(value)}
    if isinstance(value, bool):
        return not value
    if "tuple" in str(field.type):
        return (2,)
    return 1 if value is None else value + 1


def faults(settings) -> list[str]:
    """What is wrong with what the fields of a dataclass like Settings say of themselves."""
    found = []
    for field in dataclasses.fields(settings):
        kind, value = field.metadata.get("kind"), getattr(settings, field.name)
        if kind not in KINDS:
            found.append(f"{field.name} has no kind")
            continue
        if not field.metadata.get("help", "").endswith("."):
            found.append(f"{field.name} has no help")
        changed = settings.replace(**{field.name: another(field, value)})
        if (changed.graph_key != settings.graph_key) != (kind == GRAPH):
            found.append(f"{field.name} is not {kind}")
        off = settings.replace(**{field.name: 0.0}) if kind == SWITCH else changed
        if kind == SWITCH and off.graph_key == settings.graph_key:
            found.append(f"whether {field.name} is 0 is not part of the graph")
        if kind == KEYS:
            more = settings.replace(**{field.name: {**value, "conv1_2": 1.0}})
            if more.graph_key == settings.graph_key:
                found.append(f"the keys of {field.name} are not part of the graph")
    return found


def test_settings_are_described():
    """After a change of a field: make settings."""
    assert describe_settings.OUT.read_text() == describe_settings.page()
    for name in FIELDS:
        assert f"\n| `{name}` | " in describe_settings.page()


def test_the_script_writes_what_is_there(tmp_path):
    script, out = Path(describe_settings.__file__), tmp_path / "docs" / "settings.md"
    (tmp_path / "scripts").mkdir()
    out.parent.mkdir()
    copy = tmp_path / "scripts" / script.name
    copy.write_text(script.read_text())
    subprocess.run([sys.executable, copy], check=True)
    assert out.read_text() == describe_settings.OUT.read_text()


def test_every_field_says_its_kind_and_what_it_is_for():
    assert faults(BASE) == []


def test_a_fault_is_found():
    @dataclass(frozen=True, kw_only=True)
    class Careless(Settings):
        plain: int = 3
        silent: int = setting(3, DATA, "")
        unheard: int = setting(3, "grpah", "Of a kind that there is not.")

    @dataclass(frozen=True, kw_only=True)
    class Untrue(Settings):
        @property
        def graph_key(self):
            return (self.style_weight, self.pooling, *self.style_layers)

    careless = Careless(**{name: getattr(BASE, name) for name in FIELDS})
    assert faults(careless) == ["plain has no kind", "silent has no help", "unheard has no kind"]
    untrue = faults(Untrue(**{name: getattr(BASE, name) for name in FIELDS}))
    assert {"style_weight is not data", "padding is not graph"} < set(untrue)
    assert "the keys of content_layers are not part of the graph" in untrue
    assert "whether laplacian_weight is 0 is not part of the graph" in untrue
    assert not any("pooling is" in fault and "rescale" not in fault for fault in untrue)


@pytest.fixture(scope="module")
def evaluated(tiny_weights, scene, painting):
    """A function from a workshop and settings to the objective and its terms at a picture."""
    content, styles = scene[:32, :32], [painting[:32, :32]]

    def evaluate(workshop, settings):
        how = {"tile": None, "engine": "keras", "dtype": "float32"}
        objective = workshop.objective(settings, tiny_weights, content, styles, **how)
        terms = objective(tf.constant(0.5 * content)[tf.newaxis]).terms
        return objective, {name: float(value) for name, value in terms.items()}

    # What is asked is the same without a graph, and takes a tenth of the time.
    tf.config.run_functions_eagerly(True)
    yield evaluate
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("name", FIELDS)
def test_the_kind_is_what_happens(name, evaluated):
    """One objective serves all values of what is data, and gives what a new one gives. What is part
    of the graph has another one, and has an effect there."""
    field, shared = FIELDS[name], Workshop()
    value = another(field, getattr(BASE, name))
    changed = BASE.replace(**{name: value})
    first, before = evaluated(shared, BASE)
    second, after = evaluated(shared, changed)
    _, anew = evaluated(Workshop(), changed)
    assert after == pytest.approx(anew, rel=1e-6)
    if field.metadata["kind"] == GRAPH:
        assert second is not first
        assert after != pytest.approx(before, rel=1e-6)
    else:
        assert second is first
    if field.metadata["kind"] == KEYS:
        more = BASE.replace(**{name: {**getattr(BASE, name), "conv1_2": 1.0}})
        third, terms = evaluated(shared, more)
        assert third is not first and len(terms) == len(before) + 1
    if field.metadata["kind"] == SWITCH:
        third, terms = evaluated(shared, BASE.replace(**{name: 0.0}))
        assert third is not first and len(terms) == len(before) - 1
