"""`keys make`, `keys list`, `keys revoke`: what they do, and the one line when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.security import ClientSecurity, Role, SecurityError, ServerSecurity, list_clients, revoke
from robot_rlhf.commands.keys import make_key


def test_the_first_key_makes_the_servers_too(tmp_path: Path) -> None:
    keys = tmp_path / "config" / "keys"
    first, second = make_key(keys, "ann", Role.OPERATOR), make_key(keys, "eve", "observer")
    assert (first.made_server, second.made_server) == (True, False)
    assert (second.name, second.role, second.file) == ("eve", Role.OBSERVER, str(keys / "eve.key"))
    assert ServerSecurity(keys).user(ClientSecurity(Path(second.file)).public_key) is not None


def test_the_list_has_everybody_and_says_who_is_revoked(tmp_path: Path) -> None:
    for name, role in (("ann", "operator"), ("policy", "policy")):
        make_key(tmp_path, name, role)
    revoke(tmp_path, "ann")
    assert [(key.name, key.role, key.revoked_at is not None) for key in list_clients(tmp_path)] == [
        ("ann", Role.OPERATOR, True),
        ("policy", Role.POLICY, False),
    ]


def test_words_that_make_no_sense_are_named_and_leave_no_trace(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    with pytest.raises(
        SecurityError, match="the role is 'king': it must be observer, policy, operator, maintainer or"
    ):
        make_key(keys, "ann", "king")
    with pytest.raises(SecurityError, match=r"the name is '\.\./ann'"):
        make_key(keys, "../ann", "operator")
    with pytest.raises(SecurityError, match="keys make NAME"):
        list_clients(keys)
    with pytest.raises(SecurityError, match="keys make NAME"):
        revoke(keys, "ann")
    assert not keys.exists()


def test_every_complaint_is_one_line(tmp_path: Path) -> None:
    make_key(tmp_path, "ann", Role.OPERATOR)
    for wrong in (lambda: make_key(tmp_path, "ann", "operator"), lambda: revoke(tmp_path, "bob")):
        with pytest.raises(SecurityError) as caught:
            wrong()
        assert "\n" not in str(caught.value)
