"""What the live view promises: a prop is seen where the projection says, unless something is before it."""

from __future__ import annotations

import os

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import subprocess
import sys
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pygame
import pytest
from numpy.typing import NDArray

from hardware.appearance import Kinematics, PropLook, SceneDescription
from hardware.scene import Scene
from robot_rlhf.console.scene.camera import Projection, Viewpoint
from robot_rlhf.console.scene.ground import Ground
from robot_rlhf.console.scene.mesh import ArmMesh
from robot_rlhf.console.scene.picture import Picture
from sim.arms.panda import PANDA
from sim.cell import SimCell
from sim.description import describe
from sim.env import TaskEnv
from sim.task import TASKS, make_task, pose

SIZE = (480, 360)
WHOLE = pygame.Rect(0, 0, *SIZE)
FRONT = Viewpoint((0.4, 0.0, 0.2), 1.4, 35.0, 25.0)
AWAY = (0.45, 0.25, 0.02)  # on the table, away from the arm
RED = np.array([1.0, 0.0, 0.0])
HOME_RAD = np.array(PANDA.home_rad)


@cache
def description(*props: PropLook) -> SceneDescription:
    return msgspec.structs.replace(describe(make_task("pick_cube")), props=props)


def box(name: str = "cube", half_m: float = 0.02, is_marker: bool = False) -> PropLook:
    return PropLook(
        name=name, half_extents_m=(half_m, half_m, half_m), rgba=(1.0, 0.0, 0.0, 1.0), is_marker=is_marker
    )


def scene_row(*places: tuple[float, float, float], gripper: float = 1.0) -> NDArray[np.float32]:
    """The arm at home and the props at these places."""
    tool = Kinematics(description().links).poses(HOME_RAD, gripper, pose(0.0, 0.0, 0.0))[-1]
    return Scene(
        joint_pos_rad=HOME_RAD,
        gripper=np.array(gripper),
        gripper_target=np.array(gripper),
        tool_pos_m=tool[:3, 3],
        tool_quat_xyzw=np.array([1.0, 0.0, 0.0, 0.0]),
        tool_vel_m_s=np.zeros(3),
        objects={str(i): np.array([*place, 0.0, 0.0, 0.0, 1.0]) for i, place in enumerate(places)},
    ).pack()


def tool_m() -> NDArray[np.float64]:
    return scene_row()[9:12].astype(np.float64)


def drawn(
    *places: tuple[float, float, float],
    props: tuple[PropLook, ...] = (),
    view: Viewpoint = FRONT,
    gripper: float = 1.0,
    workspace: bool = False,
    twist: NDArray[np.float64] | None = None,
) -> NDArray[np.uint8]:
    """The picture (width, height, 3)."""
    surface = pygame.Surface(SIZE, 0, 32)
    looks = props or (box(),) * len(places)
    picture = Picture(description(*looks))
    row = scene_row(*places, gripper=gripper)
    picture.draw(surface, WHOLE, row, view, workspace=workspace, ghost_twist=twist)
    return pygame.surfarray.array3d(surface)


def reddish(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return np.asarray((red > 2 * green + 20) & (red > 2 * blue + 20))


def pixel(
    place: tuple[float, float, float] | NDArray[np.float64], view: Viewpoint = FRONT
) -> tuple[int, int]:
    projection = Projection(view, *SIZE)
    x, y = projection.to_screen(projection.to_camera(np.asarray(place, dtype=np.float64)))
    return round(float(x)), round(float(y))


def test_a_cube_is_seen_where_its_projection_says_and_moves_when_it_moves() -> None:
    for place in (AWAY, (0.6, -0.2, 0.1)):
        seen = reddish(drawn(place))
        middle = np.argwhere(seen).mean(axis=0)
        assert 100 < seen.sum() < 800
        assert np.abs(middle - pixel(place)).max() < 3.0, place


def test_the_size_on_the_screen_is_that_of_the_lens() -> None:
    straight = Viewpoint(AWAY, 1.0, 0.0, 2.0, 40.0)
    seen = np.argwhere(reddish(drawn(AWAY, view=straight)))
    wide = 0.04 / 0.98 * (SIZE[1] / 2) / np.tan(np.radians(20.0))  # the front face is 2 cm closer
    assert abs(np.ptp(seen[:, 0]) - wide) <= 2.5


def test_a_cube_behind_the_arm_is_hidden_and_one_before_it_is_not() -> None:
    across = Viewpoint((0.0, 0.0, 0.08), 1.4, 0.0, 3.0)
    assert reddish(drawn((-0.25, 0.0, 0.05), view=across)).sum() == 0
    assert reddish(drawn((0.25, 0.0, 0.05), view=across)).sum() > 100
    behind = replace(across, azimuth_deg=180.0)
    assert reddish(drawn((-0.25, 0.0, 0.05), view=behind)).sum() > 100


@pytest.mark.parametrize("azimuth_deg", [0.0, 40.0, 90.0, 140.0, 270.0])
def test_a_cube_in_the_hand_lies_between_the_fingers(azimuth_deg: float) -> None:
    """The fingers stand along y: from the side one is before the cube, from the front none is."""
    x, y, z = (float(value) for value in tool_m())
    view = Viewpoint((x, y, z), 0.5, azimuth_deg, 10.0)
    free = reddish(drawn((x, y, z), view=view, gripper=0.5))
    far = reddish(drawn((x + 0.3, y, z), view=replace(view, target_m=(x + 0.3, y, z)), gripper=0.5))
    share = free.sum() / far.sum()
    if azimuth_deg in (90.0, 270.0):
        assert 0.2 < share < 0.8
    else:
        assert share > 0.55


def test_the_nearer_of_two_cubes_hides_the_other_whatever_their_order() -> None:
    blue = PropLook(name="blue", half_extents_m=(0.02, 0.02, 0.02), rgba=(0.0, 0.0, 1.0, 1.0))
    view = Viewpoint((0.5, 0.3, 0.02), 1.0, 0.0, 5.0)
    near, far = (0.60, 0.3, 0.02), (0.54, 0.3, 0.02)
    alone = reddish(drawn(near, view=view)).sum()
    assert reddish(drawn(near, far, props=(box(), blue), view=view)).sum() == alone
    assert reddish(drawn(far, near, props=(blue, box()), view=view)).sum() == alone
    assert reddish(drawn(far, near, props=(box(), blue), view=view)).sum() < 0.4 * alone


def test_a_marker_is_glass_and_a_thing_inside_or_before_it_is_seen() -> None:
    marker, cube = box("target", 0.05, is_marker=True), box("cube", 0.05)
    view = Viewpoint(AWAY, 1.0, 30.0, 30.0)
    place = (AWAY[0], AWAY[1], 0.05)
    table = drawn((0.6, -0.3, 0.05), props=(cube,), view=view)[pixel(place, view)].astype(int)
    glass = drawn(place, props=(marker,), view=view)[pixel(place, view)].astype(int)
    solid = drawn(place, props=(cube,), view=view)[pixel(place, view)].astype(int)
    assert table[1] > glass[1] > solid[1]  # the table's green shines through
    blue = msgspec.structs.replace(box("inside"), rgba=(0.0, 0.0, 1.0, 1.0))
    inside = drawn(place, place, props=(marker, blue), view=view)[pixel(place, view)].astype(int)
    assert inside[2] > glass[2] - 60
    assert inside[1] < glass[1] - 30  # it hides the table, and the glass does not hide it


def test_glass_tints_what_is_behind_it_and_not_what_is_before_it() -> None:
    marker, blue = box("target", is_marker=True), msgspec.structs.replace(box("c"), rgba=(0.0, 0.0, 1.0, 1.0))
    view = Viewpoint((0.5, 0.3, 0.02), 1.0, 0.0, 5.0)
    near, far = (0.60, 0.3, 0.02), (0.50, 0.3, 0.02)
    at = pixel((0.62, 0.3, 0.02), view)
    clear = drawn(near, props=(blue,), view=view)[at].tolist()
    assert drawn(far, near, props=(marker, blue), view=view)[at].tolist() == clear
    behind = drawn(near, far, props=(marker, blue), view=view)[at].tolist()
    assert behind[0] > clear[0] + 30
    assert behind[2] > 60  # the blue is still seen through it


def test_a_thing_in_a_hole_is_hidden_by_the_walls_before_it_and_by_no_others() -> None:
    env = TaskEnv("peg_insert")
    env.reset(seed=3)
    assert isinstance(env.cell, SimCell)
    block = env.scene.objects["block"]
    env.cell.robot.reset(block[:3] + np.array([0.0, 0.0, 0.04]))
    env.cell.world.place("peg", block + np.array([0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 0.0]))
    row = env.look().pack()
    row[7] = 0.25  # the fingers on it
    env.close()
    picture, surface = Picture(describe(env.task)), pygame.Surface(SIZE, 0, 32)
    half = env.task.props[0].half_extents_m[0] + 0.002
    for azimuth in np.arange(0.0, 66.0, 6.0):
        view = Viewpoint((0.42, -0.01, 0.26), 0.9, azimuth, 23.0)
        picture.draw(surface, WHOLE, row, view)
        red, green, blue = np.moveaxis(pygame.surfarray.array3d(surface).astype(int), -1, 0)
        seen = np.argwhere((red > 1.5 * green) & (red > 3 * blue + 20))
        corners = [block[:3] + np.array([dx, dy, 0.02]) for dx in (-half, half) for dy in (-half, half)]
        edge = max(pixel(corner, view)[1] for corner in corners)  # the nearest wall hides what is below
        assert len(seen) > 20 and seen[:, 1].max() <= edge + 2, azimuth


def test_of_each_link_the_side_that_looks_at_the_eye_is_drawn() -> None:
    arm = ArmMesh(description())
    placed, poses = arm.posed(HOME_RAD, 1.0, pose(0.0, 0.0, 0.0))
    for azimuth_deg in (0.0, 120.0, 240.0):
        projection = Projection(replace(FRONT, azimuth_deg=azimuth_deg, distance_m=3.0), *SIZE)
        faces = arm.faces(placed, poses, projection)
        for mesh, points in enumerate(arm.parts(placed)):
            drawn_m = np.linalg.norm(faces.centres_m[faces.mesh == mesh] - projection.eye_m, axis=1).mean()
            assert drawn_m < np.linalg.norm(points - projection.eye_m, axis=1).mean()


def test_the_opening_of_the_fingers_is_seen() -> None:
    x, y, z = (float(value) for value in tool_m())
    view = Viewpoint((x, y, z), 0.45, 0.0, 10.0)
    apart, together = (drawn(view=view, gripper=opening).astype(int) for opening in (1.0, 0.0))
    golden = [
        np.argwhere((p[..., 0] > p[..., 2] + 60) & (p[..., 1] > p[..., 2] + 30)) for p in (apart, together)
    ]
    assert np.ptp(golden[0][:, 0]) > np.ptp(golden[1][:, 0]) + 40


def test_a_shadow_lies_under_a_cube_and_pales_as_it_rises() -> None:
    view = Viewpoint((0.5, 0.0, 0.0), 1.0, 0.0, 80.0)
    projection = Projection(view, *SIZE)
    ground = Ground(description().table)

    def light(height_m: float) -> list[int]:
        """Across the place below the cube, from the left to the right."""
        cube = np.array(
            [[x, y, z] for x in (0.48, 0.52) for y in (-0.02, 0.02) for z in (height_m, height_m + 0.04)]
        )
        canvas = pygame.Surface(SIZE, 0, 32)
        canvas.fill((200, 200, 200))
        ground.shadows(canvas, projection, [cube])
        sideways = 0.12 * (height_m + 0.02)
        y = pixel((0.5 - 0.10 * (height_m + 0.02), sideways, 0.0), view)[1]
        return [int(canvas.get_at((x, y))[0]) for x in range(SIZE[0])]

    touching, raised, high = (light(height_m) for height_m in (0.0, 0.15, 0.4))
    assert min(touching) < min(raised) < min(high) < 195
    assert touching[0] == touching[-1] == 200
    assert abs(int(np.argmin(touching)) - pixel((0.5, 0.0, 0.0), view)[0]) < 12


def test_nothing_is_drawn_outside_the_area_and_a_part_of_a_picture_is_that_part() -> None:
    places = [AWAY]
    surface = pygame.Surface((640, 480), 0, 32)
    surface.fill((1, 2, 3))
    picture = Picture(description(box()))
    area = pygame.Rect(100, 60, *SIZE)
    close = Viewpoint((0.4, 0.1, 0.2), 0.4, 35.0, 25.0)
    picture.draw(surface, area, scene_row(*places), close, workspace=True, ghost_twist=np.ones(6))
    seen = pygame.surfarray.array3d(surface)
    outside = np.ones(seen.shape[:2], bool)
    outside[area.left : area.right, area.top : area.bottom] = False
    assert (seen[outside] == (1, 2, 3)).all()
    assert not (seen[~outside] == (1, 2, 3)).all(axis=-1).any()

    hanging = area.move(-220, -100)
    picture.draw(surface, hanging, scene_row(*places), FRONT)
    part = pygame.surfarray.array3d(surface)[: hanging.right, : hanging.bottom]
    assert np.array_equal(part, drawn(*places)[-hanging.left :, -hanging.top :])
    picture.draw(surface, area.move(2000, 0), scene_row(*places), FRONT)  # nothing of it is on the surface


def test_the_workspace_and_the_commanded_velocity_are_drawn_when_asked_for() -> None:
    plain = drawn()
    framed = drawn(workspace=True)
    corner = pixel(np.array(description().workspace_high_m))
    assert (plain[corner] != framed[corner]).any()
    arrow = drawn(twist=np.array([0.0, 0.2, 0.0, 0.0, 0.0, 0.0]))
    changed = np.argwhere((plain != arrow).any(axis=-1))
    tip = pixel(tool_m() + np.array([0.0, 0.16, 0.0]))
    assert np.abs(changed - tip).max(axis=-1).min() <= 2


def test_a_view_at_the_hand_follows_the_tool() -> None:
    made = description()
    hand = Viewpoint.of(made.view("hand"))
    moved = scene_row()
    moved[9:12] += np.float32(0.2)
    surface = pygame.Surface(SIZE, 0, 32)
    shots = []
    for row in (scene_row(), moved):
        Picture(made).draw(surface, WHOLE, row, hand)
        shots.append(pygame.surfarray.array3d(surface))
    assert (shots[0] != shots[1]).any(axis=-1).mean() > 0.3
    assert hand.placed(tool_m()) == hand.placed(tool_m()).placed(np.zeros(3))


def test_viewpoints_orbit_and_zoom_within_bounds() -> None:
    assert FRONT.orbited(10.0, 5.0) == replace(FRONT, azimuth_deg=45.0, elevation_deg=30.0)
    assert FRONT.orbited(360.0, 500.0) == replace(FRONT, elevation_deg=89.0)
    assert FRONT.orbited(0.0, -500.0).elevation_deg == 2.0
    assert FRONT.zoomed(2.0).distance_m == 0.7
    assert FRONT.zoomed(1e9).distance_m == 0.15
    assert FRONT.zoomed(1e-9).distance_m == 4.0
    with pytest.raises(ValueError, match=r"zoom factor 0\.0"):
        FRONT.zoomed(0.0)


def test_the_same_row_gives_the_same_picture_from_a_picture_used_before() -> None:
    surface = pygame.Surface(SIZE, 0, 32)
    picture = Picture(description(box()))
    for view in (FRONT, FRONT.orbited(40.0, 0.0), FRONT):
        picture.draw(surface, WHOLE, scene_row((0.6, 0.1, 0.02)), view)
    picture.draw(surface, WHOLE, scene_row(AWAY), FRONT)
    assert np.array_equal(pygame.surfarray.array3d(surface), drawn(AWAY))


@pytest.mark.parametrize(("flags", "depth"), [(0, 16), (0, 24), (0, 32), (pygame.SRCALPHA, 32)])
def test_colours_are_the_same_on_every_kind_of_surface(flags: int, depth: int) -> None:
    surface = pygame.Surface(SIZE, flags, depth)
    Picture(description(box())).draw(surface, WHOLE, scene_row(AWAY), FRONT)
    apart = np.abs(pygame.surfarray.array3d(surface).astype(int) - drawn(AWAY)).max()
    assert apart <= (8 if depth == 16 else 0)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (np.zeros(25, np.float32), r"shape \(25,\), expected \(26,\)"),
        (np.full(26, np.nan, np.float32), "not finite"),
        (np.zeros(26, np.float32), "no rotation"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(row: NDArray[np.float32], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Picture(description(box())).draw(pygame.Surface(SIZE, 0, 32), WHOLE, row, FRONT)


@pytest.mark.filterwarnings("error")
def test_no_row_of_finite_numbers_hangs_or_breaks_it() -> None:
    rng = np.random.default_rng(0)
    surface = pygame.Surface((160, 120), 0, 32)
    picture = Picture(description(box("cube"), box("target", is_marker=True)))
    views = [Viewpoint.of(view) for view in description().views]
    for scale in (0.3, 1.0, 30.0, 1e6):
        for _ in range(15):
            row = (scale * rng.normal(size=33)).astype(np.float32)
            view = views[rng.integers(len(views))].orbited(rng.uniform(-180, 180), rng.uniform(-40, 60))
            view = view.zoomed(rng.uniform(0.3, 6.0))
            picture.draw(
                surface, surface.get_rect(), row, view, workspace=True, ghost_twist=row[:6].astype(float)
            )


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_pictures_from_every_view(task: str) -> None:
    made = describe(make_task(task))
    row = scene_row(*[(0.5, 0.1 * i, 0.1) for i in range(len(made.props))])
    surface = pygame.Surface(SIZE, 0, 32)
    for view in made.views:
        Picture(made).draw(surface, WHOLE, row, Viewpoint.of(view))
        assert len(np.unique(pygame.surfarray.array3d(surface).reshape(-1, 3), axis=0)) > 200


def test_it_needs_neither_simulation_nor_torch() -> None:
    code = """
import sys
import robot_rlhf.console.scene.picture
print(sorted({"sim", "pybullet", "torch", "zmq"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
