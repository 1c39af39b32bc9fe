"""Where gradient steps are made: on the CPU, or on a GPU that torch can use.

That alone goes to the device: weights while they learn, and what they learn from. What acts, what judges and
every random draw stay on the CPU. So an arm never waits for a device, checkpoints and policies are the same
wherever they were made, and a seed's random stream is one: a run that was begun on one device goes on on
another, with the same draws (the sums of another device differ in their last digits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Asked: TypeAlias = Literal["auto", "cpu", "cuda"]
"""auto: a GPU where there is one."""
Device: TypeAlias = Literal["cpu", "cuda"]
"""As torch calls it."""


class DeviceError(Exception):
    """A device that is not here; the message says what is."""


def device(asked: Asked) -> Device:
    """The device to learn on. Raises DeviceError where a GPU is asked for that torch cannot use."""
    if asked == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if asked == "auto":
        return "cpu"
    why = "finds no GPU that it can use" if torch.backends.cuda.is_built() else "is built without CUDA"
    raise DeviceError(
        f"--device cuda: there is only the CPU here, since torch {torch.__version__} {why}; "
        "say --device cpu, or auto for whatever there is"
    )


def sent(tensor: Tensor, device: Device) -> Tensor:
    """What lies on the CPU, there: itself on the CPU, else a copy on its way, for which nobody waits, nor for
    what the device still has to do. The tensor may be changed or forgotten at once, as CUDA sets memory that
    is not pinned aside before it travels."""
    return tensor.to(device, non_blocking=True)
