"""Every random stream has its own place, and the places are part of a run's identity."""

from __future__ import annotations

from itertools import product

import numpy as np

from robot_rlhf.session.seeds import Purpose, generator, seed_of


def first(*key: int, seed: int = 3, purpose: Purpose = Purpose.START) -> bytes:
    return generator(seed, purpose, *key).bytes(16)


def test_the_same_seed_purpose_and_key_give_the_same_stream() -> None:
    assert first(4, 2) == first(4, 2)
    one, other = (generator(1, Purpose.QUERY, 5).random(100) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_no_two_seeds_purposes_or_keys_share_a_stream() -> None:
    streams = {
        first(key, seed=seed, purpose=purpose) for seed, purpose, key in product(range(4), Purpose, range(20))
    }
    assert len(streams) == 4 * len(Purpose) * 20


def test_two_keys_count_in_their_order() -> None:
    assert len({first(one, other) for one, other in product(range(8), repeat=2)}) == 64


def test_integer_seeds_are_31_bits_and_differ() -> None:
    seeds = [seed_of(0, Purpose.EVALUATION, 0, index) for index in range(1000)]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) == 1000


def test_evaluation_starts_are_none_of_the_starts_that_training_sees() -> None:
    trained = {seed_of(0, Purpose.START, id) for id in range(2000)}
    assert not trained & {
        seed_of(0, Purpose.EVALUATION, stream, i) for stream in range(5) for i in range(200)
    }


def test_the_numbers_of_the_purposes_stay_what_they_are() -> None:
    """A stored run draws from them when it is resumed."""
    assert {purpose.name: int(purpose) for purpose in Purpose} == {
        "START": 0,
        "OPERATOR": 1,
        "REWARD": 2,
        "POLICY": 3,
        "CLONE": 4,
        "TRAIN": 5,
        "QUERY": 6,
        "ANSWER": 7,
        "MARK": 8,
        "NOISE": 9,
        "EVALUATION": 10,
        "CHUNKED": 11,
        "EXPLORE": 12,
        "ENCODER": 13,
    }
    assert seed_of(7, Purpose.START, 3) == 889441382
