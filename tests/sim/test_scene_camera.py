"""A camera that draws what the host of a simulated arm says."""

from __future__ import annotations

from contextlib import closing

import numpy as np

from hardware.remote import RemoteRobot
from hardware.scene import Scene
from sim import driver, scene_camera
from sim.description import describe
from sim.eyes import Eyes
from sim.jpeg import decode
from sim.task import make_task
from tests.hardware.host.served import Served


def test_it_sees_arm_and_things_as_the_host_says_they_are_and_nothing_before_the_host_is_asked() -> None:
    with (
        closing(Served(lambda: driver.make("reach", "0"))) as served,
        closing(scene_camera.make(served.address, "reach", view="front", size="48")) as camera,
        closing(RemoteRobot(served.address)) as robot,
        closing(Eyes(describe(make_task("reach")), ["front"], 48)) as eyes,
    ):
        first, second = decode(camera.picture()), decode(camera.picture())
        expected = decode(eyes.look(Scene.of(robot.read(), robot.objects))["front"])
    assert np.abs(first.astype(int) - 128).max() <= 1
    assert second.shape == (48, 48, 3)
    assert np.abs(second.astype(int) - expected).mean() < 1.0
    assert (second[..., 1].astype(int) - second[..., 0] > 60).any(), "the mark is green"
