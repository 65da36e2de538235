"""Style transfers with a network that changes, and the teacher's verdict on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from distillation.pictures import square
from nst_tf import optimizers, presets
from nst_tf.objective import Objective


class Painter:
    """Style transfers as preset gatys2016 makes them, with a model whose weights may change."""

    def __init__(self, model: tf.keras.Model) -> None:
        recipe = presets.settings("gatys2016")
        self.objective = Objective(
            model,
            recipe.content_layers,
            recipe.style_layers,
            content_loss=recipe.content_loss,
            style_loss=recipe.style_loss,
        )
        self._solver = optimizers.create(recipe.optimizer)
        self._step = tf.function(lambda state: self._solver.step(self.objective, state))

    def set_targets(self, content: np.ndarray, style: np.ndarray) -> None:
        """Content and style image, CANVAS x CANVAS."""
        self.objective.set_content(content)
        self.objective.set_styles([style])

    def paint(self, start: np.ndarray, evaluations: int) -> np.ndarray:
        """The image at the start and after about 3, 6, 12, 24, ... evaluations, and at the end."""
        state = self._solver.init(self.objective, tf.constant(start[np.newaxis]))
        states, due = [start], 3
        while int(state.evaluations) < evaluations and not state.stalled:
            state = self._step(state)
            if int(state.evaluations) >= due:
                states.append(state.point.image[0].numpy())
                due *= 2
        states.append(state.point.image[0].numpy())
        return np.stack(states)


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
            found, kept = self._losses(student.paint(content, self._evaluations)[-1])
            gained = np.log(start / found) / np.log(start / best_style)
            verdicts.append((float(gained), kept / best_content))
        return verdicts

    def _losses(self, image: np.ndarray) -> tuple[float, float]:
        terms = self._teacher.objective(tf.constant(np.clip(image, 0, 1)[np.newaxis])).terms
        return float(terms["style"]), float(terms["content"])
