"""Everything that can be set about a run. Imports nothing heavy, so that --help is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from robot_rlhf.feedback.operator import OperatorConfig
from robot_rlhf.feedback.queries import QueryConfig
from robot_rlhf.feedback.types import Kind
from robot_rlhf.learning.encoder_config import EncoderConfig
from robot_rlhf.learning.policy_config import CloneConfig, SACConfig
from robot_rlhf.learning.reward_config import RewardConfig
from sim.pictures import CAMERA_PX, SIZES_PX
from sim.randomise import RandomiseConfig
from sim.viewpoint import viewpoint_named

ALL_KINDS = ",".join(kind.value for kind in Kind)


@dataclass(frozen=True)
class ScheduleConfig:
    """How much is asked of the operator, and when."""

    demonstrations: int = 12
    """Episodes the operator drives before the policy starts."""
    alternatives: int = 3
    """Noised replays that each demonstration is compared with."""
    episodes: int = 48
    """Episodes the policy drives, with takeovers."""
    operator_seconds: float = 0.0
    """The run ends once the operator has been active for so long, whatever else is planned; 0: no limit."""
    warmup_episodes: int = 3
    """Episodes the policy drives before the critic starts to learn from the reward."""
    episodes_per_fit: int = 3
    """Episodes between two fits of the reward model."""
    pairs_first: int = 3
    """Pairs asked in the first round."""
    pairs_last: int = 0
    """Pairs asked in late rounds, and in every round even if watching tells more a second."""
    pairs_decay: float = 0.5
    """How fast the demand falls from the first to the last, a round."""
    weigh_presses: bool = True
    """Ask for good and bad only while a second of them tells more than one of what else comes of watching."""
    deployed_every: int = 2
    """Every so-manieth policy episode is driven as it will be deployed, without exploration, so that the
    operator meets its mistakes; 0: none."""
    curriculum: float = 1.0
    """The policy's episodes start at this share of the way from where the task's expert would go first, and
    at more of it the more of the newest ten it did alone, up to all of it; 1: no such thing; in lockstep."""
    takeover_seconds: float = 120.0
    """The operator takes over no more once they have driven this long in takeovers."""
    evaluate_every: int = 12
    """Episodes between two autonomous evaluations for the learning curve; 0: none. The learner never
    sees them."""
    evaluate_at: tuple[float, ...] = ()
    """Active operator seconds at which the curve has a point, in rising order; in lockstep."""
    evaluation_episodes: int = 20
    """Fresh starts of such an evaluation."""
    final_episodes: int = 100
    """Fresh starts of the evaluation at the end."""
    compare_with_cloning: bool = True
    """Also evaluate what cloning alone makes of the same demonstrations, on the same starts."""

    def __post_init__(self) -> None:
        for name in ("episodes_per_fit", "evaluation_episodes", "final_episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"schedule.{name} is {getattr(self, name)}: it must be at least 1")
        for name in (
            "demonstrations",
            "alternatives",
            "episodes",
            "warmup_episodes",
            "pairs_first",
            "pairs_last",
            "deployed_every",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"schedule.{name} is {getattr(self, name)}: it must not be negative")
        for name in ("evaluate_every", "takeover_seconds", "operator_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"schedule.{name} is {getattr(self, name)}: it must not be negative")
        if list(self.evaluate_at) != sorted(set(self.evaluate_at)) or min(self.evaluate_at, default=1) <= 0:
            raise ValueError(
                f"schedule.evaluate_at is {self.evaluate_at}: it must be positive, each above the one before"
            )
        for name in ("pairs_decay", "curriculum"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"schedule.{name} is {getattr(self, name)}: it must be from 0 to 1")


@dataclass(frozen=True)
class RunConfig:
    """A run: what is learned, from whom, and how."""

    task: str = "pick_cube"
    """What to learn: reach, push, pick_cube, pick_place, pick_place_vase, stack, peg_insert, place_bar or
    drawer_open."""
    seed: int = 0
    """Everything random follows from it."""
    arm: str = "panda"
    """The arm that is simulated: panda or iiwa."""
    feedback: str = ALL_KINDS
    """Kinds of feedback to learn from, comma-separated."""
    reward: Literal["learned", "task"] = "learned"
    """Where the reward comes from: fitted to the feedback, or the task's own (an upper bound).
    Demonstrations and takeovers stay data for the policy either way."""
    rewarded_by: str = ""
    """Kinds of `feedback` that the reward is fitted to, comma-separated; the others are data for the policy
    alone. Empty: all of them."""
    policy: Literal["rl", "clone"] = "rl"
    """What drives. rl: soft actor-critic on the reward. clone: action chunks cloned from all that the
    operator drove, anew as there is more (behaviour cloning; with takeovers HG-DAgger); in lockstep."""
    labels: Literal["given", "shuffled"] = "given"
    """shuffled: every judgement is turned at random before it is learned from (an ablation)."""
    cameras: str = ""
    """What the policy sees with, comma-separated, instead of being told where things are: front, side, top,
    wrist or corner; with `robot` those that its host has."""
    camera_px: int = CAMERA_PX
    """How wide and high their pictures are."""
    control_hz: float = 10.0
    """Policy steps a second."""
    threads: int = 1
    """Torch's threads."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """How much is asked of the operator, and when."""
    operator: Literal["simulated", "console"] = "simulated"
    """Who teaches: a simulated person, or one at a console."""
    live: bool = False
    """In real time and over the real wire also with a simulated person; with a console always."""
    robot: str = ""
    """Address of a served arm, tcp://HOST:PORT, to learn on in the place of the one simulated here."""
    perception: str = ""
    """Where things are before a served arm: host (what it simulates), file:PATH, MODULE:FACTORY or none."""
    simulated: OperatorConfig = field(default_factory=OperatorConfig)
    """Who the simulated person is."""
    randomise: RandomiseConfig = field(default_factory=RandomiseConfig)
    """What differs from one episode to the next beyond where it starts."""
    queries: QueryConfig = field(default_factory=QueryConfig)
    """How pairs of clips are chosen."""
    reward_model: RewardConfig = field(default_factory=RewardConfig)
    """The reward ensemble."""
    sac: SACConfig = field(default_factory=SACConfig)
    """The policy's learning."""
    clone: CloneConfig = field(default_factory=CloneConfig)
    """Behaviour cloning, where the policy starts."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """What becomes of pictures, where there are cameras."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: it must not be negative")
        if self.threads < 1:
            raise ValueError(f"threads is {self.threads}: it must be at least 1")
        if not 5.0 <= self.control_hz <= 50.0:
            raise ValueError(f"control_hz is {self.control_hz}: it must be from 5 to 50")
        if self.reward_model.control_hz != self.control_hz:
            raise ValueError(
                f"reward_model.control_hz is {self.reward_model.control_hz}: it must be control_hz, "
                f"{self.control_hz}, for windows in seconds to mean what they say"
            )
        if self.robot and not self.in_real_time:
            raise ValueError("--robot is for real time: say --operator console, or --live")
        if self.robot and self.arm != "panda":
            raise ValueError(f"--arm {self.arm} beside --robot: a served arm is what it is, leave --arm out")
        if self.robot and not self.randomise.is_off:
            raise ValueError("randomise beside --robot: only what is simulated here can be randomised")
        if self.in_real_time and self.randomise.delay_steps:
            raise ValueError("randomise.delay_steps is for lockstep: in real time the wire has its own delay")
        if self.in_real_time and self.schedule.curriculum < 1.0:
            raise ValueError("schedule.curriculum is for lockstep: leave --live and --operator console out")
        if self.perception and not self.robot:
            raise ValueError(f"perception is {self.perception!r} without --robot: a simulation knows all")
        kinds = self.kinds
        if self.reward == "learned" and not kinds:
            raise ValueError(
                "feedback is empty: a learned reward needs at least one kind, or use --reward task"
            )
        if strange := self.reward_kinds - kinds:
            names = ", ".join(sorted(kind.value for kind in strange))
            raise ValueError(f"rewarded_by names {names}, which feedback ({self.feedback}) leaves out")
        if self.policy == "clone" and self.in_real_time:
            raise ValueError("--policy clone runs in lockstep only: leave --live and --operator console out")
        if self.policy == "clone" and Kind.DEMONSTRATIONS not in kinds:
            raise ValueError("--policy clone needs demonstrations among the kinds of feedback")
        cameras = self.camera_names
        for camera in () if self.robot else cameras:  # a host's are called as it likes
            viewpoint_named(camera)
        if len(set(cameras)) < len(cameras):
            raise ValueError(f"cameras are {self.cameras}: name each once")
        if not SIZES_PX[0] <= self.camera_px <= SIZES_PX[1]:
            raise ValueError(f"camera_px is {self.camera_px}: it must be from {SIZES_PX[0]} to {SIZES_PX[1]}")
        if self.cameras and Kind.DEMONSTRATIONS not in kinds:
            raise ValueError(
                "--cameras needs demonstrations among the kinds of feedback, to learn to see from"
            )
        if self.reward == "task" and self.labels == "shuffled":
            raise ValueError("--labels shuffled needs --reward learned: the task's reward uses no labels")

    @property
    def in_real_time(self) -> bool:
        """Whether the arm moves in real time and its operator is at the other end of a wire."""
        return self.live or self.operator == "console"

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The names in `cameras`."""
        return tuple(name for word in self.cameras.split(",") if (name := word.strip()))

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of `feedback`; ValueError names an unknown one."""
        return _kinds(self.feedback)

    @property
    def reward_kinds(self) -> frozenset[Kind]:
        """The kinds that the reward is fitted to; ValueError names an unknown one."""
        return _kinds(self.rewarded_by) or self.kinds


def _kinds(text: str) -> frozenset[Kind]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    valid = {kind.value: kind for kind in Kind}
    for name in names:
        if name not in valid:
            raise ValueError(f"no kind of feedback is named {name!r} (there are {', '.join(valid)})")
    return frozenset(valid[name] for name in names)
