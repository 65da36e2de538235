"""Style transfers with a network that changes, and the teacher's verdict on them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from distillation.pictures import square
from nst_tf import optimizers
from nst_tf.losses.objective import Objective
from nst_tf.network.compiled import compiled
from nst_tf.recipe import presets
from nst_tf.run import descent
from nst_tf.run.descent import Limits


class Painter:
    """Style transfers as preset gatys2016 makes them, with a model whose weights may change."""

    def __init__(self, model: tf.keras.Model) -> None:
        recipe = presets.settings("gatys2016")
        self.objective = Objective.from_settings(recipe, model)
        self._solver = optimizers.create(recipe.optimizer)
        self._take_step = compiled(partial(descent.attempt, self.objective, self._solver))

    def set_targets(self, content: np.ndarray, style: np.ndarray) -> None:
        """Content and style image, CANVAS x CANVAS."""
        self.objective.set_content(content)
        self.objective.set_styles([style])

    def paint(self, start: np.ndarray, evaluations: int) -> np.ndarray:
        """The image at the start and after about 3, 6, 12, 24, ... evaluations, and at the end."""
        begun = descent.begin(self.objective, self._solver, tf.constant(start[np.newaxis]))
        images, due, limits = [start], 3, Limits(evaluations=evaluations)
        progress = begun
        for progress in descent.descend(
            self.objective, self._solver, begun, limits, self._take_step
        ):
            if int(progress.state.evaluations) >= due:
                images.append(progress.best.image[0].numpy())
                due *= 2
        images.append(progress.best.image[0].numpy())
        return np.stack(images)


class Judge:
    """How good the student's style transfers of held-out pairs are in the teacher's eyes."""

    def __init__(self, teacher: Painter, pairs: list[tuple[Path, Path]], evaluations: int = 100):
        self._teacher, self._evaluations = teacher, evaluations
        self._pairs = [tuple(square(path) for path in pair) for pair in pairs]
        self._best: list[tuple[float, float]] = []
        for content, style in self._pairs:
            teacher.set_targets(content, style)
            self._best.append(self._losses(teacher.paint(content, evaluations)[-1]))

    def __call__(self, student: Painter) -> list[tuple[float, float]]:
        """By pair: [ln S(start) − ln S(student's)] / [ln S(start) − ln S(teacher's)], and
        C(student's) / C(teacher's), with the teacher's style loss S and content loss C."""
        verdicts = []
        for (content, style), (best_style, best_content) in zip(
            self._pairs, self._best, strict=True
        ):
            for painter in (student, self._teacher):
                painter.set_targets(content, style)
            start, _ = self._losses(content)
            reached, kept = self._losses(student.paint(content, self._evaluations)[-1])
            gained = np.log(start / reached) / np.log(start / best_style)
            verdicts.append((float(gained), kept / best_content))
        return verdicts

    def _losses(self, image: np.ndarray) -> tuple[float, float]:
        terms = self._teacher.objective(tf.constant(np.clip(image, 0, 1)[np.newaxis])).terms
        return float(terms["style"]), float(terms["content"])
