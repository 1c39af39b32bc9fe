"""What is drawn before what, so that the nearer covers the further (the painter's algorithm)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.console.scene.box import Box
from robot_rlhf.console.scene.camera import Projection
from robot_rlhf.console.scene.mesh import Faces

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def ranks_of_parts(parts: Sequence[Array], ways: Array, projection: Projection) -> Ints:
    """(parts,): the order from the back to the front of things that are nearly convex, even where they
    overlap a little: of two, the one on the eye's side of the plane that parts them best is in front.

    Planes are looked for across the `ways`, (w, 3) directions. Parts are (n, 3) points; those that do
    not meet on the screen are in no order.
    """
    count = len(parts)
    heights = [part @ ways.T for part in parts]
    low, high = np.array([h.min(axis=0) for h in heights]), np.array([h.max(axis=0) for h in heights])
    gaps = np.concatenate([low[:, None] - high[None], low[None] - high[:, None]], axis=2)
    best = gaps.argmax(axis=2)  # of [one, other]: one lies above the other, or below, along that way
    above, way = best < len(ways), best % len(ways)
    one, other = np.indices((count, count))
    plane = np.where(above, low[one, way] + high[other, way], high[one, way] + low[other, way]) / 2
    eye_above = (ways @ projection.eye_m)[way] > plane
    hides = eye_above == above  # one is on the eye's side
    camera = [projection.to_camera(part) for part in parts]
    screen = [c[:, :2] / np.maximum(c[:, 2:], 1e-3) for c in camera]
    least, most = np.array([s.min(axis=0) for s in screen]), np.array([s.max(axis=0) for s in screen])
    meets = (least[:, None] <= most[None]).all(axis=2)
    hides &= meets & meets.T & (one != other)
    found = np.zeros(count, np.int64)
    left = np.argsort([-np.linalg.norm(c.mean(axis=0)) for c in camera]).tolist()
    for rank in range(count):
        free = (i for i in left if not hides[i, left].any())
        following = next(free, left[0])
        left.remove(following)
        found[following] = rank
    return found


def from_the_back(boxes: Sequence[Box]) -> list[Box]:
    """Boxes from the back to the front: next is one that hides none of those left, the furthest of these."""
    left, found = sorted(boxes, key=lambda box: -box.depth_m), []
    while left:
        free = (a for a in left if not any(b.before(a.corners_m).all() for b in left if b is not a))
        following = next(free, left[0])
        left.remove(following)
        found.append(following)
    return found


class Order:
    """The order in which triangles, dashes and solid boxes are drawn, with glass boxes between them.

    Things are numbered: the triangles, then the dashes, then the solid boxes. `things` lists them from
    the back to the front, `place` (n,) is where each stands in that list, and `glass_place` is before
    which place of the list each glass box is drawn.

    The parts (meshes, solid boxes) follow each other by their ranks, a part's triangles by depth. Glass
    is let in triangle by triangle, so that a finger can be half inside.
    """

    def __init__(
        self,
        projection: Projection,
        faces: Faces,
        dashes_m: Array,
        solid: Sequence[Box],
        glass: Sequence[Box],
        ranks: Ints,
    ) -> None:
        solid_m = np.array([box.centre_m for box in solid]).reshape(-1, 3)
        middles = np.concatenate([faces.centres_m, dashes_m, solid_m])
        depth = np.linalg.norm(middles - projection.eye_m, axis=1)
        count, meshes = len(faces.mesh), len(ranks) - len(solid)
        of_dashes = _ranks_of_dashes(dashes_m, depth[: count + len(dashes_m)], faces, solid, ranks)
        slots = _slots(middles, projection, glass)
        order = np.lexsort((-depth, np.concatenate([ranks[faces.mesh], of_dashes, ranks[meshes:]]), slots))
        self.things: list[int] = order.tolist()
        self.place: Ints = np.empty(len(order), np.int64)
        self.place[order] = np.arange(len(order))
        self.glass_place: list[int] = np.searchsorted(slots[order], np.arange(1, len(glass) + 1)).tolist()


def _ranks_of_dashes(dashes_m: Array, depth: Array, faces: Faces, solid: Sequence[Box], ranks: Ints) -> Array:
    """(dashes,): after the meshes whose middle is further away, before the solid boxes that hide them.

    `depth` is that of the triangles and then of the dashes.
    """
    count = len(faces.mesh)
    found = np.zeros(len(dashes_m))
    for mesh in np.unique(faces.mesh):
        nearer = depth[count:] < depth[:count][faces.mesh == mesh].mean()
        found[nearer] = np.maximum(found[nearer], ranks[mesh] + 0.5)
    for box, rank in zip(solid, ranks[len(ranks) - len(solid) :].tolist(), strict=True):
        before = box.before(dashes_m)
        found = np.where(before, np.maximum(found, rank + 0.5), np.minimum(found, rank - 0.5))
    return found


def _slots(middles: Array, projection: Projection, glass: Sequence[Box]) -> Ints:
    """(n,): how many of the ordered glass boxes are drawn before each small thing: those that cannot hide
    it, but none that lies before it on the screen."""
    slots = np.zeros(len(middles), np.int64)
    most = np.full(len(middles), len(glass), np.int64)
    camera = projection.to_camera(middles)
    screen = projection.to_screen(np.where(camera[:, 2:] > 1e-3, camera, 1.0))
    for index, box in enumerate(glass):
        before = box.before(middles)
        slots[before] = index + 1
        over = ((screen > box.low_px - 20) & (screen < box.high_px + 20)).all(axis=1)
        most[~before & over] = np.minimum(most[~before & over], index)
    return np.minimum(slots, most)
