"""The feedback types: what travels comes back as it was, and what makes no sense cannot be made."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.feedback.types import (
    KIND_OF,
    Choice,
    Demonstration,
    Evaluation,
    Feedback,
    Kind,
    OperatorInput,
    Outcome,
    Preference,
    Press,
    Segment,
    Takeover,
    Undo,
    derived_id,
)

WHO: dict[str, Any] = {"operator": "ann", "session": "s1", "time_ns": 5}
EVENTS: list[Feedback | Undo] = [
    Preference(
        id="a",
        query="q",
        left=Segment(0, 3, 20),
        right=Segment(1, 0, 20),
        choice=Choice.EQUAL,
        response_s=2.5,
        **WHO,
    ),
    Evaluation(id="b", episode=4, step=7, good=False, **WHO),
    Takeover(id="c", executed=Segment(2, 5, 9), counterfactual=Segment(3, 0, 9), **WHO),
    Takeover(id="d", executed=Segment(2, 5, 9), counterfactual=None, **WHO),
    Demonstration(id="e", episode=1, alternatives=(5, 6), **WHO),
    Outcome(id="f", episode=1, success=True, **WHO),
    Undo(id="g", target="f", **WHO),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_json_as_it_was(event: Feedback | Undo) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event), type=Feedback | Undo) == event


def test_every_kind_has_one_type_and_its_name_in_json() -> None:
    assert set(KIND_OF) == set(get_args(Feedback))
    assert sorted(KIND_OF.values()) == sorted(Kind)
    for type_, kind in KIND_OF.items():
        assert type_.__struct_config__.tag == kind.value  # type: ignore[attr-defined]


@pytest.mark.parametrize("values", [(-1, 0, 1), (0, -1, 1), (0, 0, 0)])
def test_a_segment_lies_in_an_episode_and_has_steps(values: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no segment"):
        Segment(*values)


def test_a_segment_that_makes_no_sense_is_refused_from_json_too() -> None:
    with pytest.raises(msgspec.ValidationError, match="no segment"):
        msgspec.json.decode(b'{"episode":0,"start":0,"length":0}', type=Segment)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_cannot_be_changed(event: Feedback | Undo) -> None:
    with pytest.raises(AttributeError):
        event.operator = "bob"  # type: ignore[misc]


@given(st.integers(0, 2**32), st.lists(st.integers(), max_size=3))
def test_a_derived_id_depends_on_seed_and_parts_alone(seed: int, parts: list[int]) -> None:
    assert derived_id(seed, *parts) == derived_id(seed, *parts)
    assert derived_id(seed, *parts) != derived_id(seed + 1, *parts)
    assert derived_id(seed, *parts) != derived_id(seed, *parts, "more")


def test_derived_ids_stay_the_same_between_versions() -> None:
    assert derived_id(7, "outcome", 3) == "1c60580e-823d-5d2f-a126-2e07ef85406c"


@pytest.mark.parametrize(
    "fields",
    [{"stick": (0.0, 1.1, 0.0)}, {"stick": (float("nan"), 0.0, 0.0)}, {"yaw": -1.5}, {"grip": -2.0}],
)
def test_hands_cannot_push_a_stick_past_its_end(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        OperatorInput(**fields)  # type: ignore[arg-type]


def test_hands_travel_as_json() -> None:
    hands = OperatorInput(stick=(0.5, -1.0, 0.0), yaw=-0.25, grip=1.0, takeover=True, press=Press.GOOD)
    assert msgspec.json.decode(msgspec.json.encode(hands), type=OperatorInput) == hands
