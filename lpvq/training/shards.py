"""A batch that is cut into shards: their gradients, one by one, added in an order that does not change.

Whatever the number of processes, a shard is the same items, computed with the same random numbers, as if it were a
batch of its own. So the sum over the shards is the same, and with it the weights; see ``lpvq.distributed``.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

import torch
from torch import Tensor, nn

from lpvq import distributed
from lpvq.errors import InputError
from lpvq.training.config import TrainConfig

OneBatch = Callable[[Sequence[Tensor]], AbstractContextManager[None]]
"""What is entered while the shards that it is given, as indices, are computed: a model that does not learn by gradient
learns at the end of it."""


class Shards:
    """The shards of the batches of a training, and the share of them that this process has.

    Args:
        description: of the training, for complaints.
        config: how many shards a batch is cut into, and in which order they are added.
        batch_size: how many items a batch has at most.

    Attributes:
        batch_size: how many items a batch has: the most that make shards of the same size.

    Raises:
        InputError: more shards than items, or a number of processes that cannot share them.
    """

    def __init__(self, description: str, config: TrainConfig, batch_size: int) -> None:
        self._number, self._fast = config.shards, config.fast_reduce
        processes = distributed.count()
        if self._number % processes:
            raise InputError(
                f"{description}: {processes} processes cannot share batches of {self._number} shards; "
                f"expected shards that are a power of two and a multiple of {processes}"
            )
        self.batch_size = batch_size - batch_size % self._number
        if self.batch_size == 0:
            raise InputError(f"{description}: a batch of {batch_size} cannot be cut into {self._number} shards")

    def mine(self, batch: Tensor) -> list[Tensor]:
        """Return the shards that this process computes, of a batch of indices (B,)."""
        shares = batch.chunk(distributed.count())
        mine = shares[distributed.rank()]
        return [mine] if self._fast else list(mine.chunk(self._number // distributed.count()))

    def add_gradients(
        self,
        batch: Tensor,
        loss: Callable[[Tensor], Tensor],
        parameters: Sequence[nn.Parameter],
        autocast: AbstractContextManager,
        one_batch: OneBatch,
        seed_for: Callable[..., None],
        asked_to_stop: bool,
    ) -> tuple[Tensor, bool]:
        """Give each parameter its gradient over the whole batch.

        Args:
            batch: the indices of all items, (B,).
            loss: from the indices of a shard to its mean loss.
            parameters: whose gradients are wanted; they have none yet.
            autocast: what losses are computed in.
            one_batch: see ``OneBatch``.
            seed_for: seeds all that is random in a shard, by its number; with no number, in what all do together.
            asked_to_stop: whether this process has been.

        Returns:
            the mean loss of the batch; whether any process has been asked to stop.
        """
        shards = self.mine(batch)
        number = len(shards) * distributed.count()
        learning: list[nn.Parameter] = []

        def of_shard(place: int) -> Tensor:
            seed_for(distributed.rank() * len(shards) + place)
            with autocast:
                share = loss(shards[place]) / number
            share.backward()
            learning[:] = [parameter for parameter in parameters if parameter.grad is not None]
            # All that the processes have to tell each other in a step, in one vector.
            told = torch.stack([share.detach(), torch.full_like(share, asked_to_stop)])
            vector = torch.cat(
                [*(parameter.grad.flatten() for parameter in learning if parameter.grad is not None), told]
            )
            for parameter in learning:
                parameter.grad = None
            return vector

        with ExitStack() as stack:
            with autocast:
                stack.enter_context(one_batch(shards))
            total = distributed.sum_in_order(map(of_shard, range(len(shards))), self._fast)
            seed_for()  # the codebook now draws the same in all processes
        *gradients, told = total.split([*(parameter.numel() for parameter in learning), 2])
        for parameter, gradient in zip(learning, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter).to(parameter.dtype)
        return told[0], bool(told[1] > 0)
