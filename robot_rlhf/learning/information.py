"""How much an answer would teach the reward ensemble (Houlsby et al. 2011, BALD)."""

from __future__ import annotations

import torch
from torch import Tensor


def information(chances: Tensor) -> Tensor:
    """(...) nats that the answer tells of which member is right, from log-probabilities (M, ..., A) of every
    answer by each member: the entropy of their mean less their mean entropy. From 0 to log M."""
    mean = chances.exp().mean(dim=0)
    shared = _entropy(mean, mean.clamp_min(torch.finfo(mean.dtype).tiny).log())
    return (shared - _entropy(chances.exp(), chances).mean(dim=0)).clamp_min(0.0)


def _entropy(chance: Tensor, log_chance: Tensor) -> Tensor:
    return -(chance * log_chance).nan_to_num(nan=0.0).sum(dim=-1)
