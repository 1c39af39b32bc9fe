"""A picture of every task and every arm, by the console's own drawing: four moments of a scripted expert.

python benchmarks/tasks_picture.py docs/pictures/tasks.png
"""

from __future__ import annotations

import os
import sys

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import pygame

from robot_rlhf.commands.evaluate import ExpertActor
from robot_rlhf.console.scene.camera import Viewpoint
from robot_rlhf.console.scene.picture import Picture
from sim.arms.model import ARMS, make_arm
from sim.description import describe
from sim.env import TaskEnv
from sim.task import TASKS, make_task

WIDTH, HEIGHT, MOMENTS, SEED = 320, 240, 4, 7
VIEW = Viewpoint((0.50, 0.0, 0.12), 0.85, -35.0, 30.0)


ROWS = [*((task, "panda") for task in TASKS), *(("stack", arm) for arm in ARMS if arm != "panda")]


def moments(task: str, arm: str) -> list[NDArray[np.float32]]:
    """Scene rows from the start to the success, evenly apart."""
    env = TaskEnv(task, end_on_success=True, arm=arm)
    actor = ExpertActor(env)
    obs, _ = env.reset(seed=SEED)
    actor.reset()
    rows, over = [env.scene.pack()], False
    while not over:
        obs, _, terminated, truncated, _ = env.step(actor.act(obs))
        rows.append(env.scene.pack())
        over = terminated or truncated
    env.close()
    return [rows[round(place)] for place in np.linspace(0, len(rows) - 1, MOMENTS)]


def main() -> None:
    """Draw them all."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    pygame.font.init()
    font = pygame.font.Font(None, 28)
    sheet = pygame.Surface((WIDTH * MOMENTS, HEIGHT * len(ROWS)), 0, 32)
    for row, (task, arm) in enumerate(ROWS):
        picture = Picture(describe(make_task(task), make_arm(arm).spec))
        for column, scene in enumerate(moments(task, arm)):
            area = pygame.Rect(column * WIDTH, row * HEIGHT, WIDTH, HEIGHT)
            picture.draw(sheet, area, scene.astype(np.float32), VIEW)
        name = task if arm == "panda" else f"{task}, {arm}"
        sheet.blit(font.render(name, True, (255, 255, 255)), (10, row * HEIGHT + 8))
    pygame.image.save(sheet, sys.argv[1])


if __name__ == "__main__":
    main()
