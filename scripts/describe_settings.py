"""Write docs/settings.md: every setting, as the fields of `Settings` say it themselves.

    python scripts/describe_settings.py

tests/test_docs.py says when that is to be done again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_tf.recipe.settings import DATA, GRAPH, KEYS, SWITCH, Settings

OUT = Path(__file__).parent.parent / "docs" / "settings.md"

INTRODUCTION = """\
# Settings

Every field of `nst_tf.Settings`. In Python each is a keyword of `stylize` and `StyleTransfer`; on
the command line a flag of the same name, `--size=512`, where lists are written with commas, and 0
stands for a size that is None in Python. The defaults are the class's; every
[preset](../nst_tf/recipe/presets.py) has its own.

Runs that share a `Workshop`, as those of an experiment do, compile the loss and its gradient once
between them. The last column says whether another value needs them compiled anew, beside pictures
of another size and another network.

"""

#: By the field's kind: whether another value compiles anew.
COSTS = {
    GRAPH: "yes",
    DATA: "no",
    KEYS: "other layers: yes; other weights: no",
    SWITCH: "from or to 0: yes; else no",
}


def table(settings: type) -> str:
    """A Markdown table of the fields of a dataclass whose fields `settings.setting` makes."""
    rows = [
        ("name", "type", "default", "choices", "what it is for", "compiles anew"),
        ("---",) * 6,
        *(_row(field) for field in dataclasses.fields(settings)),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(field: dataclasses.Field[Any]) -> tuple[str, ...]:
    make = field.default_factory
    default = make() if callable(make) else field.default
    return (
        f"`{field.name}`",
        _code(str(field.type)),
        _code(_written(default)),
        ", ".join(f"`{choice}`" for choice in field.metadata["choices"]),
        _cell(field.metadata["help"]),
        COSTS[field.metadata["kind"]],
    )


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={weight:g}" for key, weight in value.items())
    return f'"{value}"' if isinstance(value, str) else str(value)


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page() -> str:
    """The whole of docs/settings.md."""
    return f"{INTRODUCTION}\n{table(Settings)}"


if __name__ == "__main__":
    OUT.write_text(page())
