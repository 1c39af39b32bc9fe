"""The deployed policy as one pure function that torch alone can run: no code of ours, no hidden state.

It computes what `snapshot.Acting` computes without exploration: the clone's chunk, corrected by the averaged
actor where both critics agree that it is better by the margin.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from robot_rlhf.learning.encoder import Encoder
from robot_rlhf.learning.layers import Layers
from robot_rlhf.learning.networks import within_reach
from robot_rlhf.learning.snapshot import Snapshot


class Portable(nn.Module):
    """(obs (n,), memory (k,)) -> (action (m,) in [-1, 1], memory (k,)).

    The memory is what is left of the chunk that the clone predicted: zeros begin an episode, and each step
    takes what the step before returned. `cloned` leaves the correction out: the policy is the clone alone.
    """

    obs_mean: Tensor
    obs_inverse_std: Tensor
    clone_mean: Tensor
    clone_inverse_std: Tensor

    def __init__(self, snapshot: Snapshot, cloned: bool = False) -> None:
        super().__init__()
        if cloned and snapshot.clone is None:
            raise ValueError("the policy is to be the clone alone, and there is none")
        tensors = snapshot.tensors
        self._cloned, self._has_clone = cloned, snapshot.clone is not None
        self.obs_size = len(tensors["obs.mean"])
        self.action_size = snapshot.deployed.biases[-1].shape[-1] // 2
        self._edge, self._clip = float(tensors["base_edge"]), float(tensors["obs.clip"])
        self._reach, self._margin = snapshot.reach, snapshot.margin
        self._replan = int(tensors["clone.replan_every"][0]) if self._has_clone else 0
        for name, values in _constants(tensors, self._has_clone).items():
            self.register_buffer(name, torch.from_numpy(values.copy()))
        self.deployed, self.critic = _Perceptron(snapshot.deployed), _Perceptron(snapshot.critic)
        self.clone = _Perceptron(snapshot.clone) if snapshot.clone is not None else None

    @property
    def memory_size(self) -> int:
        """k: how many steps of the chunk are left, and the chunk."""
        return 1 + self._replan * self.action_size

    def forward(self, obs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        base, memory = self._base(obs, memory)
        if self._cloned:
            return base, memory
        inputs = torch.cat([self._normalised(obs, self.obs_mean, self.obs_inverse_std), base])
        residual, _ = self.deployed(inputs).chunk(2)
        near = base.clamp(-self._edge, self._edge)
        plain = torch.atanh(near)
        mean = plain + residual
        if self._has_clone:
            mean, _ = within_reach(near, residual, self._reach)
            both = torch.tanh(torch.stack([mean, plain]))
            seen = torch.cat([inputs.expand(2, -1), both], dim=1)
            values = self.critic(seen.unsqueeze(0)).squeeze(-1)
            mean = torch.where((values[:, 0] - values[:, 1] > self._margin).all(), mean, plain)
        return torch.tanh(mean), memory

    def _normalised(self, obs: Tensor, mean: Tensor, inverse_std: Tensor) -> Tensor:
        return ((obs - mean) * inverse_std).clamp(-self._clip, self._clip)

    def _base(self, obs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """What the clone would do (m,), and what is left of its chunk afterwards."""
        if self.clone is None:
            return torch.zeros(self.action_size), memory + 0.0
        rows = self._normalised(obs, self.clone_mean, self.clone_inverse_std).reshape(1, 1, -1)
        said = torch.tanh(self.clone(rows)).mean(dim=0).reshape(-1, self.action_size)
        is_empty = memory[:1] < 0.5
        left = torch.where(is_empty, torch.full_like(memory[:1], float(self._replan)), memory[:1])
        kept = memory[1:].reshape(self._replan, self.action_size)
        chunk = torch.where(is_empty, said[: self._replan], kept)
        return chunk[0], torch.cat([left - 1.0, chunk.roll(-1, 0).reshape(-1)])


class PortableSight(nn.Module):
    """(state (p,), pictures (cameras, height, width, 3) uint8 RGB, memory (k,)) -> (action (m,), memory): a
    `Portable` behind the encoder that makes its observations."""

    def __init__(self, encoder: Encoder, policy: Portable) -> None:
        super().__init__()
        if not encoder.is_fitted:
            raise ValueError("the policy has not learned to see yet")
        self.encoder, self.policy = encoder, policy
        self.requires_grad_(False)

    def forward(self, state: Tensor, pictures: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        obs = self.encoder(state.unsqueeze(0), pictures.permute(0, 3, 1, 2).unsqueeze(0))
        acted: tuple[Tensor, Tensor] = self.policy(obs[0], memory)
        return acted


class _Perceptron(nn.Module):
    """`snapshot.Layers` in torch."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.weights = nn.ParameterList(_frozen(values) for values in layers.weights)
        self.biases = nn.ParameterList(_frozen(values) for values in layers.biases)

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias
            if index < last:
                x = F.layer_norm(x, x.shape[-1:]).relu()
        return x


def _frozen(values: NDArray[np.float32]) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(values.copy()), requires_grad=False)


def _constants(tensors: Mapping[str, NDArray[np.float32]], has_clone: bool) -> dict[str, NDArray[np.float32]]:
    found = {"obs_mean": tensors["obs.mean"], "obs_inverse_std": tensors["obs.inverse_std"]}
    if has_clone:
        found |= {
            "clone_mean": tensors["clone.mean"],
            "clone_inverse_std": tensors["clone.inverse_std"],
        }
    return found
