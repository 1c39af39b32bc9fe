"""How the policy learns, as typed settings. Imports nothing heavy, so that --help is instant."""

from __future__ import annotations

from dataclasses import dataclass


def _require(holds: bool, owner: object, name: str, valid: str) -> None:
    if not holds:
        raise ValueError(f"{type(owner).__name__}.{name} is {getattr(owner, name)}: it must be {valid}")


@dataclass(frozen=True)
class SACConfig:
    """Soft actor-critic (Haarnoja et al. 2018) with operator data in every batch (Ball et al. 2023, RLPD).

    Times are counted in gradient updates. Raises ValueError naming the field that is out of range.
    """

    hidden: int = 128
    """Width of every hidden layer of actor and critics."""
    layers: int = 2
    """Hidden layers of actor and critics."""
    critics: int = 2
    """Critics in the ensemble."""
    target_critics: int = 2
    """Critics, drawn anew from the ensemble each update, whose minimum counts as the value."""
    discount: float = 0.96
    """Discount a control step: 0.96 looks about 25 steps ahead, 2.5 s at 10 Hz."""
    target_rate: float = 0.005
    """Share of the critics that flows into the target critics each update."""
    actor_learning_rate: float = 3e-4
    """Adam step size of the actor."""
    critic_learning_rate: float = 3e-4
    """Adam step size of the critics."""
    temperature_learning_rate: float = 3e-4
    """Adam step size of the logarithm of the temperature."""
    target_entropy: float | None = None
    """Entropy in nats that the temperature holds the policy at; None: minus half the action size."""
    initial_temperature: float = 0.02
    """Worth of a nat of entropy at the start, in units of the normalised reward."""
    max_temperature: float = 0.02
    """Upper bound of the temperature; inf: unbounded."""
    log_std_start: float = -2.0
    """Log standard deviation before the tanh that exploration starts with."""
    log_std_low: float = -2.5
    """Lower bound of the log standard deviation before the tanh: exploration never quite ends."""
    log_std_high: float = 1.0
    """Upper bound of the log standard deviation before the tanh."""
    batch_size: int = 256
    """Transitions an update."""
    updates_per_step: int = 4
    """Gradient updates an environment step."""
    actor_every: int = 2
    """The actor and the temperature learn at every so-manieth update."""
    operator_fraction: float = 0.5
    """Share of each batch from steps that the operator drove."""
    critic_warmup_updates: int = 1_500
    """Updates at the start in which only the critics learn, so that the clone is not undone."""
    bc_weight_start: float = 10.0
    """Weight of the behaviour-cloning term on the batch's operator rows, once the actor learns."""
    bc_weight_end: float = 10.0
    """The same after `bc_anneal_updates`."""
    bc_anneal_updates: int = 20_000
    """Updates over which the cloning weight goes from start to end in a straight line."""
    bc_nll_weight: float = 0.0
    """Weight of the negative log-likelihood (nats an action dimension) beside the squared error."""
    q_filter: bool = True
    """Clone only where the critics prefer the operator's action to the policy's (Nair et al. 2018)."""
    correction_reach: float = 0.2
    """How far an action number of a correction is at most from the clone's, both in [-1, 1]: where the clone
    goes is trusted more than a learned reward. 2: anywhere."""
    correction_margin: float = 0.05
    """By what share of the running spread of Q every slow critic must find a correction better than what the
    clone would do before it is taken: less is noise."""
    actor_average: float = 0.9995
    """Share that the averaged actor keeps of itself at each actor update."""
    spread_average: float = 0.99
    """Share that the running spread of Q keeps of itself at each actor update."""
    spread_floor: float = 0.1
    """Least spread of Q the actor loss is divided by: what varies less is noise, not preference."""

    def __post_init__(self) -> None:
        counts = ("hidden", "layers", "critics", "target_critics", "batch_size", "updates_per_step",
                  "actor_every", "bc_anneal_updates")  # fmt: skip
        for name in counts:
            _require(getattr(self, name) >= 1, self, name, "at least 1")
        _require(self.target_critics <= self.critics, self, "target_critics", f"at most {self.critics}")
        for name in ("discount", "actor_average", "spread_average"):
            _require(0.0 <= getattr(self, name) < 1.0, self, name, "from 0 to below 1")
        _require(0.0 < self.target_rate <= 1.0, self, "target_rate", "above 0 and at most 1")
        _require(0.0 <= self.operator_fraction <= 1.0, self, "operator_fraction", "from 0 to 1")
        _require(0.0 < self.correction_reach <= 2.0, self, "correction_reach", "above 0 and at most 2")
        positive = ("actor_learning_rate", "critic_learning_rate", "temperature_learning_rate",
                    "initial_temperature", "spread_floor")  # fmt: skip
        for name in positive:
            _require(0.0 < getattr(self, name) < float("inf"), self, name, "positive and finite")
        not_negative = ("critic_warmup_updates", "bc_weight_start", "bc_weight_end", "bc_nll_weight",
                        "correction_margin")  # fmt: skip
        for name in not_negative:
            _require(0.0 <= getattr(self, name) < float("inf"), self, name, "finite and not negative")
        enough = self.max_temperature >= self.initial_temperature
        _require(enough, self, "max_temperature", "at least the initial one")
        _require(-20.0 <= self.log_std_low < 0.0, self, "log_std_low", "from -20 to below 0")
        _require(0.0 < self.log_std_high <= 4.0, self, "log_std_high", "above 0 and at most 4")
        between = self.log_std_low < self.log_std_start < self.log_std_high
        _require(between, self, "log_std_start", f"between {self.log_std_low} and {self.log_std_high}")


@dataclass(frozen=True)
class CloneConfig:
    """Behaviour cloning of the steps that the operator drove.

    Raises ValueError naming the field that is out of range.
    """

    hidden: int = 256
    """Width of the hidden layers."""
    layers: int = 2
    """Hidden layers."""
    members: int = 6
    """Networks in the ensemble, whose mean acts."""
    steps: int = 250
    """Gradient steps at most: so few that a few demonstrations are not learned by heart."""
    min_steps: int = 250
    """Gradient steps before the held-out error may stop or choose anything; as many as `steps`: all are
    taken."""
    batch_size: int = 256
    """Examples a gradient step."""
    learning_rate: float = 1e-3
    """Adam step size at the start; over `steps` it falls to zero along half a cosine."""
    obs_noise: float = 0.2
    """Standard deviation of noise on the normalised observations while fitting, so that the policy knows
    its way a little beside the demonstrations' path."""
    weight_decay: float = 1e-4
    """Decoupled weight decay (AdamW)."""
    heldout_fraction: float = 0.1
    """Share of the episodes held out for early stopping; 0, or fewer than five episodes: none."""
    check_every: int = 20
    """Gradient steps between two looks at the held-out error."""
    patience: int = 20
    """Looks without a better held-out error after which fitting stops."""
    stride: float = 0.4
    """Small moves are joined until together they go as far as one step at this share of full speed, so that
    the clone does at once what a careful hand does in many; 0: every step as it was."""
    idle_keep_steps: int = 6
    """Steps that stay as they were after the gripper's command changed sign: fingers take time to close."""
    chunk: int = 12
    """Actions that are predicted at once."""
    replan_every: int = 4
    """Actions of a chunk carried out before the next is predicted."""
    anew_successes: int = 8
    """Episodes of the policy, marked as successes, from which its clone is made anew with them; 0: never."""
    anew_growth: float = 1.5
    """It is made anew again with every so many times as many."""
    anew_tolerance: float = 1.1
    """How many times the old clone's error on held-out demonstrations a new one's may be at most; otherwise
    the old one is kept."""

    def __post_init__(self) -> None:
        counts = ("hidden", "layers", "members", "steps", "batch_size", "check_every", "patience", "chunk")
        for name in counts:
            _require(getattr(self, name) >= 1, self, name, "at least 1")
        _require(0.0 < self.learning_rate < float("inf"), self, "learning_rate", "positive and finite")
        for name in ("obs_noise", "weight_decay", "idle_keep_steps"):
            _require(0.0 <= getattr(self, name) < float("inf"), self, name, "finite and not negative")
        _require(0.0 <= self.stride <= 1.0, self, "stride", "from 0 to 1")
        _require(0.0 <= self.heldout_fraction < 1.0, self, "heldout_fraction", "from 0 to below 1")
        _require(1 <= self.replan_every <= self.chunk, self, "replan_every", f"from 1 to {self.chunk}")
        _require(self.anew_successes >= 0, self, "anew_successes", "not negative")
        _require(1.0 < self.anew_growth < float("inf"), self, "anew_growth", "above 1 and finite")
        _require(0.0 < self.anew_tolerance < float("inf"), self, "anew_tolerance", "positive and finite")
