"""A simulated person whose session never answers, or answers no more, goes home."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rlhf.feedback import live_operator
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.live_operator import LiveOperator
from robot_rlhf.feedback.operator import OperatorConfig
from robot_rlhf.feedback.types import Kind


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_operator, "_GONE_S", 0.2)
    link = OperatorLink("tcp://127.0.0.1:9", "simulated")
    try:
        LiveOperator(link, OperatorConfig(), frozenset(Kind), 10.0, np.random.default_rng(0)).run()
    finally:
        link.close()
