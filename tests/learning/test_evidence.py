"""From events and episodes to windows: which transitions an answer is about, and who trains on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Evaluation,
    Feedback,
    Kind,
    Outcome,
    Preference,
    Segment,
    Takeover,
    Undo,
)
from robot_rlhf.learning.evidence import HELD_OUT, TRAIN, Evidence, family, gather, standing
from robot_rlhf.learning.likelihoods import BAD, FIRST, RIGHT
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.split import Split, bootstrap_weight, unit_hash

CONFIG = RewardConfig(members=2, bootstrap_rate=0.0)
EVERYTHING = Split(seed=0, members=2, fraction=0.0)
WHO: dict[str, Any] = {"operator": "ada", "session": "s", "time_ns": 0}


def episode(number: int, steps: int = 30, role: Role = Role.ONLINE) -> Episode:
    """An episode whose observation is (its number, the step)."""
    obs = np.stack([np.full(steps + 1, number), np.arange(steps + 1)], axis=1).astype(np.float32)
    action = np.zeros((steps, 3), dtype=np.float32)
    driver, scenes = np.zeros(steps, dtype=np.uint8), np.zeros((steps + 1, 26), dtype=np.float32)
    return Episode(number, role, "toy", 0, 0, obs, action, action, driver, scenes, False, True)


def book(*episodes: Episode) -> dict[int, Episode]:
    return {e.id: e for e in episodes}


def collect(
    events: list[Feedback],
    episodes: dict[int, Episode],
    split: Split = EVERYTHING,
    kinds: frozenset[Kind] = frozenset(Kind),
) -> Evidence:
    return gather(events, episodes, kinds, ["ada"], split, CONFIG)


def steps_of(evidence: Evidence, window: int) -> list[tuple[int, int, int]]:
    """(episode, step before, step after) of each transition of a window."""
    rows = evidence.rows[window, : evidence.length[window]]
    before, after = evidence.obs[rows].int().tolist(), evidence.next_obs[rows].int().tolist()
    return [(one[0], one[1], other[1]) for one, other in zip(before, after, strict=True)]


def windows_of(
    evidence: Evidence, kind: Kind, event: int = 0, member: int = 0
) -> list[list[tuple[int, int, int]]]:
    numbers = evidence.judgements[kind].windows[member, event].tolist()
    return [steps_of(evidence, number) for number in numbers if number >= 0]


def preference(name: str, left: Segment, right: Segment, choice: Choice) -> Preference:
    return Preference(id=name, query=name, left=left, right=right, choice=choice, response_s=1.0, **WHO)


def test_the_shorter_side_of_a_pair_stands_still_at_its_last_state() -> None:
    event = preference("p", Segment(1, 4, 5), Segment(2, 0, 3), Choice.RIGHT)
    evidence = collect([event], book(episode(1), episode(2)))
    left, right = windows_of(evidence, Kind.PREFERENCES)
    assert left == [(1, t, t + 1) for t in range(4, 9)]
    assert right == [(2, 0, 1), (2, 1, 2), (2, 2, 3), (2, 3, 3), (2, 3, 3)]
    assert evidence.judgements[Kind.PREFERENCES].answer.tolist() == [RIGHT]


def test_no_window_reaches_into_the_next_episode() -> None:
    event = preference("p", Segment(1, 27, 3), Segment(2, 10, 8), Choice.LEFT)
    left, _ = windows_of(collect([event], book(episode(1), episode(2))), Kind.PREFERENCES)
    assert left == [(1, 27, 28), (1, 28, 29), (1, 29, 30)] + [(1, 30, 30)] * 5


def test_cannot_tell_and_what_was_taken_back_carry_no_loss() -> None:
    one, other = Segment(1, 0, 5), Segment(2, 0, 5)
    events: list[Feedback | Undo] = [
        preference("unsure", one, other, Choice.CANNOT_TELL),
        preference("undone", one, other, Choice.LEFT),
        Undo(id="u", target="undone", **WHO),
        preference("kept", one, other, Choice.LEFT),
        preference("kept", one, other, Choice.LEFT),
    ]
    evidence = collect(standing(events), book(episode(1), episode(2)))
    assert evidence.events == {Kind.PREFERENCES: 1}
    assert evidence.judgements[Kind.PREFERENCES].answer.shape == (1,)


def test_a_press_judges_what_came_before_it_against_the_two_seconds_before_that() -> None:
    press = Evaluation(id="e", episode=2, step=50, good=False, **WHO)
    evidence = collect([press], book(episode(1), episode(2, 60)))
    window, before = windows_of(evidence, Kind.EVALUATIONS)
    assert window == [(2, t, t + 1) for t in range(42, 48)]  # 0.8 s to 0.2 s before, at 10 Hz
    assert before == [(2, t, t + 1) for t in range(22, 42)]
    assert evidence.judgements[Kind.EVALUATIONS].answer.tolist() == [BAD]


def test_a_press_early_in_an_episode_says_nothing_of_the_episodes_before() -> None:
    """Their ends may be the goal, which a good press at the beginning does not call worse."""
    press = Evaluation(id="e", episode=7, step=10, good=True, **WHO)
    window, before = windows_of(collect([press], book(episode(5), episode(7))), Kind.EVALUATIONS)
    assert window == [(7, t, t + 1) for t in range(2, 8)]
    assert before == [(7, 0, 1), (7, 1, 2)]


@pytest.mark.parametrize("step", [2, 8])
def test_a_press_with_nothing_before_what_it_judges_says_nothing(step: int) -> None:
    press = Evaluation(id="e", episode=1, step=step, good=True, **WHO)
    assert not collect([press], book(episode(1))).judgements


def test_a_takeover_is_better_than_its_counterfactual_or_the_clip_before() -> None:
    executed, instead = Segment(1, 10, 6), Segment(2, 0, 6)
    events: list[Feedback] = [
        Takeover(id="t1", executed=executed, counterfactual=instead, **WHO),
        Takeover(id="t2", executed=executed, counterfactual=None, **WHO),
        Takeover(id="t3", executed=Segment(1, 0, 6), counterfactual=None, **WHO),
    ]
    evidence = collect(events, book(episode(1), episode(2, role=Role.COUNTERFACTUAL)))
    human = [(1, t, t + 1) for t in range(10, 16)]
    assert windows_of(evidence, Kind.TAKEOVERS, 0) == [human, [(2, t, t + 1) for t in range(6)]]
    assert windows_of(evidence, Kind.TAKEOVERS, 1) == [human, [(1, t, t + 1) for t in range(4, 10)]]
    assert evidence.events == {Kind.TAKEOVERS: 2}, "nothing came before a takeover at the start"
    assert evidence.judgements[Kind.TAKEOVERS].answer.tolist() == [FIRST, FIRST]
    assert evidence.judgements[Kind.TAKEOVERS].beta.unique().numel() == 2


def test_demonstrations_are_compared_whole_without_failures_and_lucky_alternatives() -> None:
    side = [episode(n, 20, Role.COUNTERFACTUAL) for n in (11, 12, 13)]
    episodes = book(episode(1, 25, Role.DEMONSTRATION), episode(2, 25, Role.DEMONSTRATION), *side)
    events: list[Feedback] = [
        Demonstration(id="d1", episode=1, alternatives=(11, 12, 13), **WHO),
        Demonstration(id="d2", episode=2, alternatives=(11, 12), **WHO),
        Outcome(id="o1", episode=12, success=True, **WHO),
        Outcome(id="o2", episode=2, success=False, **WHO),
    ]
    evidence = collect(events, episodes, kinds=frozenset({Kind.DEMONSTRATIONS}))
    demo, *others = windows_of(evidence, Kind.DEMONSTRATIONS)
    assert demo == [(1, t, t + 1) for t in range(25)]
    assert [window[0][0] for window in others] == [11, 13]
    assert all(len(window) == 25 and window[-1][1:] == (20, 20) for window in others)
    assert evidence.events == {Kind.DEMONSTRATIONS: 1}


def test_a_mark_weighs_one_event_and_a_success_one_more_against_its_own_beginning() -> None:
    marks: list[Feedback] = [Outcome(id=f"o{n}", episode=n, success=n % 10 == 0, **WHO) for n in range(1, 21)]
    evidence = collect(marks, book(*(episode(n, 100) for n in range(1, 21))))
    of = evidence.judgements[Kind.OUTCOMES]
    assert of.share.sum().item() == pytest.approx(18.0 + 2 * 2.0)
    assert len(of.share) <= 22 * CONFIG.outcome_pairs
    good, bad = windows_of(evidence, Kind.OUTCOMES)
    assert good == [(10, t, t + 1) for t in range(80, 100)], "the last 2 s at 10 Hz"
    assert bad[0][0] == 1
    pairs = [windows_of(evidence, Kind.OUTCOMES, event) for event in range(len(of.share))]
    own = [other for end, other in pairs if end[0][0] == other[0][0] == 10]
    assert own == [[(10, t, t + 1) for t in range(start, start + 20)] for start in (0, 20, 40, 60)]


@pytest.mark.parametrize(("steps", "lengths"), [(25, []), (32, [12]), (45, [20, 20, 20, 20])])
def test_the_beginning_of_a_success_is_compared_as_far_as_there_is_one(
    steps: int, lengths: list[int]
) -> None:
    mark = Outcome(id="o", episode=1, success=True, **WHO)
    evidence = collect([mark], book(episode(1, steps)))
    if not lengths:
        assert not evidence.judgements
        return
    number = len(evidence.judgements[Kind.OUTCOMES].share)
    others = [windows_of(evidence, Kind.OUTCOMES, event)[1] for event in range(number)]
    assert [sum(before != after for _, before, after in other) for other in others] == lengths
    assert all(after <= steps - 20 for other in others for _, _, after in other)


def test_only_the_newest_mark_of_an_episode_counts_by_order_and_not_by_a_clock_that_jumps() -> None:
    first = Outcome(id="a", episode=1, success=True, operator="ada", session="s", time_ns=2)
    second = Outcome(id="b", episode=1, success=False, operator="ada", session="s", time_ns=1)
    assert not collect([first, second], book(episode(1))).judgements
    assert collect([second, first], book(episode(1))).judgements


@pytest.mark.parametrize(
    "event",
    [
        preference("p", Segment(1, 28, 5), Segment(1, 0, 5), Choice.LEFT),
        preference("p", Segment(9, 0, 5), Segment(1, 0, 5), Choice.LEFT),
        Evaluation(id="e", episode=1, step=30, good=True, **WHO),
    ],
)
def test_events_about_what_is_not_there_are_refused(event: Feedback) -> None:
    with pytest.raises(ValueError, match=r"feedback about .*episode"):
        collect([event], book(episode(1)))


def crowd() -> tuple[list[Feedback], dict[int, Episode]]:
    """Events of every kind over forty episodes and their counterfactuals."""
    rng = np.random.default_rng(0)
    episodes = book(*(episode(n) for n in range(1, 41)))
    events: list[Feedback] = []
    for n in range(1, 41):
        episodes[100 + n] = episode(100 + n, role=Role.COUNTERFACTUAL)
        one, other = (Segment(int(e), 3, 9) for e in rng.choice(40, 2, replace=False) + 1)
        events += [
            preference(f"p{n}", one, other, Choice.LEFT),
            Evaluation(id=f"e{n}", episode=n, step=11, good=True, **WHO),
            Takeover(id=f"t{n}", executed=Segment(n, 5, 6), counterfactual=Segment(100 + n, 0, 6), **WHO),
            Demonstration(id=f"d{n}", episode=n, alternatives=(100 + n, n % 40 + 1), **WHO),
            Outcome(id=f"o{n}", episode=n, success=n % 3 == 0, **WHO),
        ]
    return events, episodes


def test_no_member_trains_on_a_transition_of_an_episode_it_is_validated_on() -> None:
    events, episodes = crowd()
    split = Split(3, 2, 0.3, family(events, episodes))
    evidence = collect(events, episodes, split)
    for member in range(2):
        touched: dict[int, set[int]] = {TRAIN: set(), HELD_OUT: set()}
        for kind, of in evidence.judgements.items():
            for event, side in enumerate(of.side[member].tolist()):
                if side in touched:
                    windows = windows_of(evidence, kind, event, member)
                    touched[side] |= {split.root(step[0]) for window in windows for step in window}
        assert touched[TRAIN]
        assert touched[HELD_OUT]
        assert not touched[TRAIN] & touched[HELD_OUT]


def test_a_members_weights_are_zero_off_its_training_side() -> None:
    events, episodes = crowd()
    evidence = collect(events, episodes, Split(3, 2, 0.3, family(events, episodes)))
    for of in evidence.judgements.values():
        assert (of.weight[of.side != TRAIN] == 0).all()
        assert (of.weight[of.side == TRAIN] > 0).all()


def test_an_adopted_episode_is_never_held_out_again_nor_are_its_counterfactuals() -> None:
    split = Split(0, 2, 0.9, {7: 3})
    member = next(m for m in range(2) if split.held_out(m, 3))
    adopted = split.adopt(member, [7])
    assert split.held_out(member, 7)
    assert not adopted.held_out(member, 3)
    assert not adopted.held_out(member, 7)
    assert adopted.held_out(1 - member, 3) == split.held_out(1 - member, 3)


def test_bootstrap_weights_are_poisson_repeatable_and_differ_between_members() -> None:
    drawn = torch.tensor(
        [[bootstrap_weight(0, member, f"e{n}", 1.0) for n in range(3000)] for member in range(2)]
    ).float()
    again = [bootstrap_weight(0, 0, f"e{n}", 1.0) for n in range(3000)]
    assert drawn[0].int().tolist() == again
    assert drawn.mean().item() == pytest.approx(1.0, abs=0.05)
    assert (drawn == 0).float().mean().item() == pytest.approx(np.exp(-1.0), abs=0.03)
    assert abs(torch.corrcoef(drawn)[0, 1].item()) < 0.06
    assert bootstrap_weight(0, 0, "e", 0.0) == 1
    assert 0.0 <= unit_hash(1, 2, "name") < 1.0
