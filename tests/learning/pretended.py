"""A GPU that is not there: tensors that say they are elsewhere, whose numbers are computed on the CPU, and
every operation refused that a GPU would refuse. So what learns can be run as on a GPU, to its end and to the
bit. Torch without CUDA knows no device of that name, so the pretended one has the name of another: "meta".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

GPU: Any = "meta"
_CPU = torch.device("cpu")


class MixedError(AssertionError):
    """An operation had tensors of both devices, or a generator of the other one."""


class Far(Tensor):
    """A tensor on the pretended GPU, whose numbers are `here`."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Far:
        far: Far = torch.Tensor._make_wrapper_subclass(
            cls, here.shape, strides=here.stride(), dtype=here.dtype, device=GPU
        )
        far.here = here
        return far

    def __init__(self, here: Tensor) -> None:
        pass

    def tolist(self) -> Any:  # which torch has for its own tensors alone
        return self.here.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise MixedError(f"{func} outside of the pretence")

    # a module's `to` swaps such tensors in whole where they say how they are taken apart
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["here"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], _: None, size: Any, stride: Any) -> Far:
        return Far(inner["here"])


class Watch(TorchDispatchMode):
    """Sees which operations are done on a GPU that is there."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would load a compiler

    def __init__(self) -> None:
        super().__init__()
        self.done: set[str] = set()
        """The operations that were done on the GPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(isinstance(one, Tensor) and one.is_cuda for one in tree_flatten((args, result))[0]):
            self.done.add(func.overloadpacket.__name__)
        return result


class _Pretence(Watch):
    """Does them, on a GPU that is not there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
        are_far = [isinstance(one, Far) for one in tensors]
        asked = kwargs.get("device")
        if any(one.is_meta and not far for one, far in zip(tensors, are_far, strict=True)):
            raise MixedError(f"{func} with a tensor that came to the GPU by a way that is not known here")
        moves = name in ("_to_copy", "copy_")
        if any(are_far) and not moves:
            near = [one for one, is_far in zip(tensors, are_far, strict=True) if not is_far]
            if any(one.dim() > 0 for one in near) or (near and name.startswith(("_fused", "_foreach"))):
                raise MixedError(f"{func} with tensors of both devices")
        is_far = any(are_far) if asked is None else torch.device(asked).type == GPU
        if name == "copy_":
            is_far = are_far[0]
        generator = kwargs.get("generator") or next(
            (one for one in args if isinstance(one, torch.Generator)), None
        )
        if is_far and generator is not None:
            raise MixedError(f"{func} on the GPU with the CPU's generator")
        here_args, here_kwargs = tree_map_only(Far, lambda one: one.here, (args, kwargs))
        if asked is not None:
            here_kwargs = here_kwargs | {"device": _CPU}
        result = func(*here_args, **here_kwargs)
        if not is_far:
            return result
        self.done.add(name)
        if name.endswith("_") and isinstance(args[0], Tensor):
            return args[0]  # it was changed in place
        return tree_map_only(Tensor, Far, result)


@contextmanager
def pretended_gpu() -> Iterator[_Pretence]:
    """While it lasts, `GPU` is a device."""
    with _Pretence() as pretence:
        yield pretence
