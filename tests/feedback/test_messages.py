"""What a console and a session say to each other comes out of the wire as it went in."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import numpy as np
import pytest

from hardware.appearance import SceneDescription
from hardware.transport import Client, Server, wait
from hardware.transport.codec import Decoder, RefusedError, encode
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Evaluation,
    EventFields,
    OperatorInput,
    Outcome,
    Preference,
    Press,
    Query,
    Removal,
    Segment,
    Takeover,
    Undo,
)
from sim.description import describe
from sim.task import make_task

MOST = 16 << 20
FIELDS: EventFields = {"id": "e", "operator": "Ann Äöü", "session": "s", "time_ns": 2**62}
LEFT, RIGHT = Segment(1, 2, 3), Segment(4, 5, 3)
ROWS = np.arange(24, dtype=np.float32).reshape(4, 6)
CLIP = m.Clip(segment=LEFT, count=4, rows=ROWS.tobytes(), driver=bytes([0, 1, 1]))
MOMENT = m.Moment(
    seq=7,
    time_ns=8,
    stage=m.Stage.EPISODE,
    phase=m.Phase.OPERATOR,
    episode=3,
    step=4,
    steps=50,
    recording=True,
    driver="Ann",
    driving="token",
    input_seq=9,
    scene=ROWS[0].tobytes(),
    commanded_m_s=(0.1, -0.1, 0.0),
    achieved_m_s=(0.09, -0.1, 1e-9),
    operator_steps=2,
    reward=None,
    limits=("speed",),
    hold_reason="",
)
STATUS = m.Status(
    demonstrations=1,
    demonstrations_planned=3,
    episodes=2,
    episodes_planned=24,
    pairs_waiting=4,
    marks=(True, False),
    interventions=(0.25, 1.0),
    evaluations=(m.Measured(after=6, successes=4, episodes=20, final=False),),
    counts={"preferences": 3},
    operator_s=12.5,
    learner="learning",
    updates=100,
    reward_version=2,
    self_agreement=0.5,
    consoles=("Ann", "Bob"),
    overruns=0,
    report="runs/a/report.html",
    run="a",
)
NEWS = m.News(number=0, text="Ann is here", episode=None)


def description() -> SceneDescription:
    return describe(make_task("pick_cube"))


FROM_CONSOLE: list[msgspec.Struct] = [
    m.Join(name="Ann"),
    m.Join(name="Eve", watches=True, protocol=99),
    m.Leave(),
    m.Say(
        event=Preference(
            **FIELDS, query="q", left=LEFT, right=RIGHT, choice=Choice.EQUAL, response_s=1.5, replays=2
        )
    ),
    m.Say(event=Evaluation(**FIELDS, episode=1, step=2, good=False)),
    m.Say(event=Takeover(**FIELDS, executed=LEFT, counterfactual=RIGHT)),
    m.Say(event=Takeover(**FIELDS, executed=LEFT, counterfactual=None)),
    m.Say(event=Demonstration(**FIELDS, episode=1, alternatives=(2, 3))),
    m.Say(event=Outcome(**FIELDS, episode=1, success=True)),
    m.Say(event=Undo(**FIELDS, target="f")),
    m.Say(event=Removal(**FIELDS, episode=1)),
    *(m.Do(wish=wish) for wish in m.Wish),
    m.AskPairs(count=2, have=("a", "b")),
    m.AskClip(episode=3),
    m.AskEpisodes(first=2),
    m.AskNews(first=5),
    m.Ping(sent_ns=123),
]
FROM_SESSION: list[msgspec.Struct] = [
    m.Welcome(
        console="token",
        session="a",
        task="pick_cube",
        goal="Lift it",
        description=description(),
        objects=("cube",),
        uses_gripper=True,
        control_hz=10.0,
        full_speed_m_s=0.15,
        drive_port=1,
        stop_port=2,
        watch_port=3,
        latch_allowed=True,
        moment=MOMENT,
        status=STATUS,
        news=(NEWS,),
        instance="b",
    ),
    m.Saved(event="e"),
    m.Granted(),
    m.Refused(reason="no"),
    m.Pairs(pairs=(m.Pair(query=Query("q", LEFT, RIGHT, "random"), left=CLIP, right=CLIP),)),
    m.Episode(clip=CLIP, reward=(0.5, -0.5)),
    m.Episodes(
        lines=(
            m.EpisodeLine(
                episode=1,
                role="online",
                steps=50,
                operator_fraction=0.1,
                mark=None,
                mark_id="",
                removed=True,
                removed_id="r",
            ),
        )
    ),
    m.NewsSince(news=(NEWS,)),
    m.Pong(sent_ns=1, session_ns=2, joined=False),
]
WATCHED: list[msgspec.Struct] = [
    MOMENT,
    msgspec.structs.replace(MOMENT, reward=-1.5),
    STATUS,
    msgspec.structs.replace(STATUS, self_agreement=None),
    NEWS,
]
GIVEN = OperatorInput(stick=(1.0, -0.5, 0.0), yaw=0.5, grip=-1.0, takeover=True, press=Press.GOOD)
HANDS: list[msgspec.Struct] = [m.Hands(console="t", seq=1, based_on=2, given=GIVEN, attending=True)]
CHANNELS: list[tuple[Any, list[msgspec.Struct]]] = [
    (m.FromConsole, FROM_CONSOLE),
    (m.FromSession, FROM_SESSION),
    (m.Watched, WATCHED),
    (m.Hands, HANDS),
    (m.Stop, [m.Stop()]),
]


@pytest.mark.parametrize(
    ("channel", "message"),
    [(channel, message) for channel, messages in CHANNELS for message in messages],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else "",
)
def test_it_comes_out_as_it_went_in(channel: Any, message: msgspec.Struct) -> None:
    arrived = Decoder(channel, MOST).decode(encode(message, MOST))
    assert type(arrived) is type(message)
    assert msgspec.msgpack.encode(arrived) == msgspec.msgpack.encode(message)
    if not isinstance(message, m.Welcome):  # whose description has arrays
        assert arrived == message


@pytest.mark.parametrize(("channel", "messages"), CHANNELS)
def test_every_message_is_tried(channel: Any, messages: list[msgspec.Struct]) -> None:
    assert {type(message) for message in messages} == set(get_args(channel) or [channel])


def test_a_clip_and_a_moment_give_their_rows() -> None:
    assert np.array_equal(CLIP.scenes(), ROWS)
    assert np.array_equal(MOMENT.row(), ROWS[0])


@pytest.mark.parametrize("name", ["", "x" * 41, "two\nlines"])
def test_a_name_that_cannot_be_shown_is_refused_at_both_ends(name: str) -> None:
    with pytest.raises(ValueError, match="name is"):
        m.Join(name=name)
    data = msgspec.msgpack.encode({"type": "join", "name": name})
    with pytest.raises(RefusedError):
        Decoder(m.FromConsole, MOST).decode(data)


def test_hands_that_reach_too_far_are_refused_by_the_session() -> None:
    data = msgspec.msgpack.encode(HANDS[0]).replace(
        msgspec.msgpack.encode(-0.5), msgspec.msgpack.encode(-1.5)
    )
    with pytest.raises(RefusedError, match="stick"):
        Decoder(m.Hands, MOST).decode(data)


def test_a_moment_fits_into_what_a_subscriber_takes() -> None:
    assert len(encode(MOMENT, 65_536)) < 1_000


def test_a_welcome_passes_real_sockets() -> None:
    server: Server[m.FromConsole] = Server(
        "tcp://127.0.0.1:0", m.FromConsole, security=None, max_send_bytes=MOST
    )
    client: Client[m.FromSession] = Client(server.address, m.FromSession, security=None, max_bytes=MOST)
    try:
        client.request(FROM_CONSOLE[0])
        asked = arrived = None
        while asked is None:
            wait([server, client], 2**62)
            client.receive()
            asked = server.receive()
        server.reply(asked, FROM_SESSION[0])
        while arrived is None:
            wait([client], 2**62)
            arrived = client.receive()
        assert msgspec.msgpack.encode(arrived.message) == msgspec.msgpack.encode(FROM_SESSION[0])  # type: ignore[union-attr]
    finally:
        client.close()
        server.close()
