"""Acting in chunks: what is predicted for the next K steps, carried out or averaged. NumPy alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


class ChunkPlan:
    """One episode's actions out of chunks that `predict` (obs (n,) -> (K, m)) gives (Zhao et al. 2023, ACT).

    Either `replan_every` actions of a chunk are carried out before the next is predicted, or with 0 one is
    predicted at every step and the average is carried out of what the last K said of that step, older ones
    counting less by exp(-decay * age).
    """

    def __init__(
        self, predict: Callable[[Float32], Float32], chunk: int, replan_every: int, decay: float
    ) -> None:
        self._predict, self._replan_every, self._decay = predict, replan_every, decay
        self._chunks: deque[Float32] = deque(maxlen=replan_every or chunk)
        self._position = 0

    def reset(self) -> None:
        """Forget what was predicted: a new episode begins."""
        self._chunks.clear()
        self._position = 0

    def act(self, obs: Float32) -> Float32:
        """The next action (m,). Raises FloatingPointError rather than return a NaN."""
        if self._replan_every:
            if self._position % self._replan_every == 0:
                self._chunks.append(self._chunk(obs))
                self._position = 0
            self._position += 1
            return self._chunks[-1][self._position - 1]
        self._chunks.appendleft(self._chunk(obs))
        ages = np.arange(len(self._chunks))
        said = np.stack([chunk[age] for age, chunk in enumerate(self._chunks)])
        average: Float32 = np.average(said, axis=0, weights=np.exp(-self._decay * ages)).astype(np.float32)
        return average

    def _chunk(self, obs: Float32) -> Float32:
        actions = self._predict(obs)
        if not np.isfinite(actions).all():
            raise FloatingPointError(f"the chunked policy is not finite at observation {obs.tolist()}")
        return actions
