"""A run that compiles in no time: two layers, Adam's step; as fields of settings and as flags."""

SETTINGS = {
    "size": 36,
    "evaluations": 3,
    "optimizer": "adam",
    "content_layers": {"conv1_2": 1.0},
    "style_layers": {"conv1_1": 1.0},
}
FLAGS = (
    "--preset=gatys2016",
    "--weights=mini",
    "--size=36",
    "--evaluations=3",
    "--optimizer=adam",
    "--content_layers=conv1_2=1",
    "--style_layers=conv1_1=1",
)
