"""Everything that can be tuned about the reward model; imports nothing heavy, so that --help is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from robot_rlhf.feedback.types import Kind


@dataclass(frozen=True)
class KindWeights:
    """How much one event of each kind weighs in the loss; 0 leaves the kind in the report only."""

    demonstrations: float = 1.0
    """One demonstration against all of its alternatives."""
    takeovers: float = 1.0
    """One takeover, however long it was."""
    preferences: float = 1.0
    """One answered pair."""
    evaluations: float = 1.0
    """One good or bad press."""
    outcomes: float = 1.0
    """One success or failure mark."""

    def __post_init__(self) -> None:
        for item in fields(self):
            _check(item.name, getattr(self, item.name), 0.0, math.inf)

    def of(self, kind: Kind) -> float:
        """The weight of one event of `kind`."""
        return float(getattr(self, kind.value))


@dataclass(frozen=True)
class Rationalities:
    """The rationality beta each kind starts from, and the middle of its prior. Preferences have 1 by
    definition: it pins the scale of the returns."""

    evaluations: float = 0.5
    """Of a good or bad press."""
    takeovers: float = 1.0
    """Of a takeover whose counterfactual was rolled out."""
    takeovers_before: float = 0.3
    """Of a takeover compared with the clip before it: weaker evidence."""
    demonstrations: float = 0.5
    """Of choosing the demonstration among its alternatives."""
    outcomes: float = 1.0
    """Of a marked success over a marked failure."""

    def __post_init__(self) -> None:
        for item in fields(self):
            _check(item.name, getattr(self, item.name), 1e-3, 1e3)


@dataclass(frozen=True)
class RewardConfig:
    """The reward ensemble, the likelihoods and how they are fitted."""

    members: int = 3
    """Networks in the ensemble."""
    hidden: int = 64
    """Units of a hidden layer."""
    layers: int = 2
    """Hidden layers."""
    learning_rate: float = 1e-3
    """Adam's step for the networks."""
    likelihood_rate: float = 1e-2
    """Adam's step for rationalities, lapses, tie parameters and press biases."""
    weight_decay: float = 1e-2
    """Decoupled weight decay of the networks."""
    reward_penalty: float = 1e-2
    """Factor of the mean squared reward over replayed transitions."""
    carry: float = 0.0
    """How much of the last fit's weights the next starts from, the rest being the first ones: with 1, what
    was overfitted adds up from fit to fit; with 0 every fit starts as the first did."""
    fit_steps: int = 160
    """Gradient steps of a fit at most."""
    min_steps: int = 40
    """Gradient steps before held-out likelihood may stop or choose anything: new evidence is heard."""
    check_every: int = 20
    """Gradient steps between two looks at the held-out likelihood."""
    patience: int = 3
    """Looks without an improvement before the fit stops."""
    min_held_out: int = 8
    """Held-out judgements (events times members) below which all `fit_steps` are taken."""
    batch_events: int = 32
    """Events of a gradient step, shared among the kinds by their weight."""
    batch_transitions: int = 128
    """Replayed transitions of a gradient step, for the reward penalty."""
    window_samples: int = 8
    """Transitions drawn, evenly spread, from each window of a gradient step."""
    held_out: float = 0.15
    """Share of the episodes that a member never trains on."""
    bootstrap_rate: float = 0.0
    """Mean of the Poisson draw of an event's weight for a member; 0 gives every event weight 1, and members
    differ by what they hold out and by their first weights alone."""
    kind_weights: KindWeights = field(default_factory=KindWeights)
    """How much one event of each kind weighs."""
    rationalities: Rationalities = field(default_factory=Rationalities)
    """Where the rationality of each kind starts."""
    rationality_spread: float = 0.5
    """Standard deviation of the prior on log beta."""
    lapse: float = 0.05
    """Where an operator's share of preferences, presses and outcome marks given at random starts."""
    lapse_spread: float = 1.0
    """Standard deviation of the prior on its logit."""
    tie: float = 1.0
    """Where the tie parameter nu of preferences starts."""
    tie_spread: float = 1.0
    """Standard deviation of the prior on log nu."""
    bias_spread: float = 1.0
    """Standard deviation of the prior on an operator's bias towards pressing good."""
    return_scale: float = 10.0
    """The return of a window is this times its mean reward."""
    control_hz: float = 10.0
    """Steps a second, to turn the times below into steps."""
    press_from_s: float = 0.8
    """A press judges what began this long before it."""
    press_until_s: float = 0.2
    """A press judges what ended this long before it."""
    press_baseline_s: float = 2.0
    """A press compares what it judges with this much of the episode before it."""
    outcome_window_s: float = 2.0
    """An outcome mark judges the end of the episode, this long."""
    outcome_pairs: int = 4
    """Opposite marks that each outcome mark is compared with, and windows before the end of a success."""
    pessimism: float = 0.5
    """Standard deviations of the ensemble taken off what the policy sees."""
    clip: float = 5.0
    """The policy sees rewards from minus this to this."""
    scale_floor: float = 1e-2
    """The reward's standard deviation is never taken to be smaller."""

    def __post_init__(self) -> None:
        for name in ("members", "hidden", "layers", "fit_steps", "check_every", "patience", "batch_events"):
            _check(name, getattr(self, name), 1, math.inf)
        for name in ("batch_transitions", "window_samples", "outcome_pairs"):
            _check(name, getattr(self, name), 1, math.inf)
        for name in ("learning_rate", "likelihood_rate", "rationality_spread", "tie", "tie_spread",
                     "lapse_spread"):  # fmt: skip
            _check(name, getattr(self, name), 1e-9, math.inf)
        for name in ("bias_spread", "return_scale", "control_hz", "press_baseline_s", "outcome_window_s",
                     "clip", "scale_floor"):  # fmt: skip
            _check(name, getattr(self, name), 1e-9, math.inf)
        for name in ("weight_decay", "reward_penalty", "bootstrap_rate", "press_until_s", "pessimism"):
            _check(name, getattr(self, name), 0.0, math.inf)
        _check("min_held_out", self.min_held_out, 1, math.inf)
        _check("min_steps", self.min_steps, 0, self.fit_steps)
        _check("carry", self.carry, 0.0, 1.0)
        _check("held_out", self.held_out, 0.0, 0.9)
        _check("lapse", self.lapse, 1e-6, 0.9)
        if self.press_from_s <= self.press_until_s:
            raise ValueError(
                f"press_from_s is {self.press_from_s}: it must be above press_until_s, {self.press_until_s}"
            )
        if self.press_steps[0] == self.press_steps[1]:
            raise ValueError(f"a press judges no whole step at control_hz {self.control_hz}")

    @property
    def press_steps(self) -> tuple[int, int]:
        """How many steps before a press its window begins and ends."""
        return round(self.press_from_s * self.control_hz), round(self.press_until_s * self.control_hz)

    @property
    def press_baseline_steps(self) -> int:
        """How many steps before what it judges a press compares with, at most."""
        return max(1, round(self.press_baseline_s * self.control_hz))

    @property
    def outcome_steps(self) -> int:
        """Steps of the window that an outcome mark judges."""
        return max(1, round(self.outcome_window_s * self.control_hz))


def _check(name: str, value: float, low: float, high: float) -> None:
    if not (low <= value <= high and math.isfinite(value)):
        raise ValueError(f"{name} is {value}: it must be from {low:g} to {high:g} and finite")
