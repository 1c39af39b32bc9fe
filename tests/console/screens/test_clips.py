"""Clips play smoothly, in step and by the clock; the timelines say what the hand did."""

from __future__ import annotations

import math

import numpy as np
import pytest

from robot_rlhf.console.screens.clips import REST_S, Playhead, Reel, runs
from robot_rlhf.feedback.messages import Clip
from robot_rlhf.feedback.types import Driver, Segment

HZ = 10.0
S = 1_000_000_000


def rows(count: int, objects: int = 1) -> np.ndarray:
    """A still scene with upright quaternions and an open hand."""
    made = np.zeros((count, 19 + 7 * objects), dtype=np.float32)
    made[:, 7:9] = 1.0
    made[:, 15] = 1.0
    made[:, 25::7] = 1.0
    return made


def reel(made: np.ndarray, operator: np.ndarray | None = None) -> Reel:
    return Reel(made, HZ, np.zeros(len(made) - 1, dtype=np.bool_) if operator is None else operator)


def turned(angle_rad: float) -> tuple[float, float, float, float]:
    return 0.0, 0.0, math.sin(angle_rad / 2), math.cos(angle_rad / 2)


def test_a_clip_arrives_with_who_drove_each_step() -> None:
    made = rows(4)
    driver = bytes([Driver.POLICY, Driver.OPERATOR, Driver.OPERATOR])
    clip = Clip(segment=Segment(0, 0, 3), count=4, rows=made.tobytes(), driver=driver)
    shown = Reel.of(clip, HZ)
    assert shown.rows.tolist() == made.tolist()
    assert shown.operator.tolist() == [False, True, True]
    assert shown.duration_s == pytest.approx(0.3)


def test_between_two_rows_positions_go_straight() -> None:
    made = rows(3)
    made[:, 0] = [0.0, 1.0, 3.0]
    shown = reel(made)
    assert [float(shown.at(t)[0]) for t in (0.0, 0.025, 0.1, 0.15, 0.2)] == pytest.approx(
        [0.0, 0.25, 1.0, 2.0, 3.0]
    )


def test_before_the_first_row_and_after_the_last_stand_those() -> None:
    made = rows(3)
    made[:, 0] = [5.0, 6.0, 7.0]
    assert float(reel(made).at(-1.0)[0]) == 5.0
    assert float(reel(made).at(9.0)[0]) == 7.0
    assert reel(made[:1]).at(0.3).tolist() == made[0].tolist()


@pytest.mark.parametrize("start", [12, 22], ids=["tool", "object"])
def test_orientations_stay_of_unit_length_and_turn_the_shorter_way(start: int) -> None:
    made = rows(2)
    made[0, start : start + 4] = turned(0.0)
    made[1, start : start + 4] = -np.array(turned(1.0))  # the same turn by the opposite quaternion
    middle = reel(made).at(0.05)[start : start + 4]
    assert float(np.linalg.norm(middle)) == pytest.approx(1.0)
    assert abs(float(middle @ np.array(turned(0.5)))) == pytest.approx(1.0)


def test_stored_rows_are_not_changed_by_playing() -> None:
    made = rows(2)
    made[1, 12:16] = turned(2.0)
    before = made.copy()
    reel(made).at(0.05)
    assert made.tolist() == before.tolist()


def test_a_hand_told_to_close_holds_only_where_the_fingers_stop_on_something() -> None:
    made = rows(7)
    made[:, 7] = [1.0, 1.0, 0.8, 0.55, 0.5, 0.5, 0.9]
    made[:, 8] = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    shown = reel(made)
    assert shown.shut.tolist() == [False, True, True, True, True, True, False]
    assert shown.holding.tolist() == [False, False, False, False, False, True, False]
    made[:, 7] = [1.0, 1.0, 0.8, 0.2, 0.0, 0.0, 0.0]
    assert not reel(made).holding.any()


def test_a_hand_that_is_shut_all_along_holds_nothing() -> None:
    made = rows(5)
    made[:, 7:9] = 0.0
    assert not reel(made).holding.any()


def test_an_object_that_is_pushed_is_seen_to_move() -> None:
    made = rows(4, objects=2)
    made[:, 26] = [0.0, 0.0, 0.005, 0.005]  # the second object goes 5 mm in 0.1 s
    assert reel(made).moving.tolist() == [False, False, True, False]
    assert not reel(rows(4, objects=0)).moving.any()


def test_runs_are_the_stretches_that_are_true() -> None:
    assert runs(np.array([True, True, False, True])) == ((0, 2), (3, 4))
    assert runs(np.zeros(3, dtype=np.bool_)) == ()
    assert runs(np.ones(0, dtype=np.bool_)) == ()


@pytest.mark.parametrize(
    ("made", "hz", "complaint"),
    [
        (np.zeros((0, 26)), 10.0, "1 or more"),
        (np.zeros((3, 27)), 10.0, "an object"),
        (np.zeros((3, 26)), 0.0, "hz is 0"),
    ],
)
def test_what_cannot_be_played_is_refused(made: np.ndarray, hz: float, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Reel(made.astype(np.float32), hz, np.zeros(0, dtype=np.bool_))


# -- the playhead -----------------------------------------------------------------------------------


def test_two_clips_begin_again_together_and_the_shorter_waits_on_its_last_frame() -> None:
    short, long = rows(11), rows(21)
    short[:, 0], long[:, 0] = np.arange(11), np.arange(21)
    left, right = reel(short), reel(long)
    head = Playhead(max(left.duration_s, right.duration_s), since_ns=0)

    def seen(time_s: float) -> tuple[float, float]:
        time_s = head.at(round(time_s * S))
        return float(left.at(time_s)[0]), float(right.at(time_s)[0])

    assert seen(0.5) == pytest.approx((5.0, 5.0))
    assert seen(1.5) == pytest.approx((10.0, 15.0))
    assert seen(2.0 + REST_S - 0.01) == pytest.approx((10.0, 20.0))
    assert seen(2.0 + REST_S + 0.1) == pytest.approx((1.0, 1.0), abs=1e-4)


def test_rounds_count_how_often_it_began_again() -> None:
    head = Playhead(1.5, since_ns=0, rest_s=0.5)
    assert [head.rounds(round(t * S)) for t in (0.0, 1.99, 2.01, 7.0)] == [0, 0, 1, 3]


def test_speed_changes_without_a_jump_and_stays_among_the_three() -> None:
    head = Playhead(4.0, since_ns=0)
    slow = head.paced(1 * S, -1)
    assert slow.speed == 0.5
    assert slow.at(1 * S) == pytest.approx(1.0)
    assert slow.at(3 * S) == pytest.approx(2.0)
    fast = slow.paced(3 * S, +2)
    assert fast.speed == 2.0
    assert fast.at(3 * S) == pytest.approx(2.0)
    assert fast.at(3 * S + S // 2) == pytest.approx(3.0)
    assert fast.paced(3 * S, +1).speed == 2.0
    assert slow.paced(3 * S, -1).speed == 0.5


def test_pausing_stands_and_playing_goes_on_from_there() -> None:
    head = Playhead(4.0, since_ns=0).toggled(1 * S)
    assert head.at(3 * S) == pytest.approx(1.0)
    assert head.toggled(3 * S).at(4 * S) == pytest.approx(2.0)


def test_scrubbing_goes_no_further_than_the_ends() -> None:
    head = Playhead(4.0, since_ns=0).toggled(0)
    assert head.moved(0, 3.0).at(9 * S) == pytest.approx(3.0)
    assert head.moved(0, 7.0).at(9 * S) == pytest.approx(4.0)
    assert head.moved(0, -1.0).at(9 * S) == 0.0


def test_a_clock_that_stands_behind_shows_the_start_and_one_row_is_a_clip() -> None:
    assert Playhead(2.0, since_ns=5 * S).at(4 * S) == 0.0
    assert Playhead(0.0, since_ns=0).at(7 * S) == 0.0


def test_a_speed_that_is_not_offered_is_refused() -> None:
    with pytest.raises(ValueError, match="speed"):
        Playhead(1.0, since_ns=0, speed=3.0)
