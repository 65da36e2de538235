"""The structure: a room knows the rooms to its left and nothing of those to its right."""

from __future__ import annotations

import ast
from pathlib import Path

import nst_tf

ROOT = Path(nst_tf.__file__).parent

#: From left to right. What stands in one line knows nothing of the others there.
ROOMS = [
    {"errors", "version", "assets", "registration", "memory_at_hand"},
    {"files", "locks", "reading", "signals", "recipe", "classical"},
    {"pictures", "optimizers"},
    {"network", "page"},
    {"losses"},
    {"run", "keras", "data"},
    {"watch", "export"},
    {"experiments", "judge", "stylizer"},
    {"batch"},
    {"beam", "studio"},
    {"apps"},
]
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
#: Doors, not rooms: they name what is inside.
DOORS = {"__init__", "former"}


def modules() -> dict[str, Path]:
    """Every module of the package, by its path within it: `losses.gram`."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] not in DOORS:
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a file imports, wherever in it."""
    wanted = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        wanted |= {name.removeprefix("nst_tf.") for name in names if name.startswith("nst_tf.")}
    return wanted & known


def test_every_module_is_in_a_room():
    assert {name.split(".")[0] for name in modules()} == set(FLOOR)


def test_no_arrow_runs_back():
    known = modules()
    wrong = [
        f"{name} imports {other}"
        for name, path in known.items()
        for other in imports(path, set(known))
        if name.split(".")[0] != other.split(".")[0]
        and FLOOR[other.split(".")[0]] >= FLOOR[name.split(".")[0]]
    ]
    assert not wrong


def test_no_circle_within_a_room_either():
    known = modules()
    edges = {name: imports(path, set(known)) - {name} for name, path in known.items()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above, name))
        if name not in done:
            for other in edges[name]:
                visit(other, (*above, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def test_files_are_short():
    """One idea a file; 400 lines are the most that one should take to read."""
    long = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert not {name: count for name, count in long.items() if count > 410}
