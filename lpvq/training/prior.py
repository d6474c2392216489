"""How a prior is trained."""

import math
from pathlib import Path

from torch import Tensor

from lpvq.data.latent_codes import LatentCodes
from lpvq.models.pixelcnn import PixelCNN
from lpvq.runtime import compiled
from lpvq.training.config import TrainConfig
from lpvq.training.losses import given, grid_nll
from lpvq.training.trainer import AfterStep, History, Trainer


def train_prior(
    model: PixelCNN,
    codes: LatentCodes,
    config: TrainConfig,
    validation: LatentCodes | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
    until: int | None = None,
    after_step: AfterStep | None = None,
) -> History:
    """Train a prior in place, on the device it is on. Both losses are nats per code.

    Args:
        model: ends in eval mode, with the weights that did best on ``validation``; with the last ones where there is
            none. An error or Ctrl-C leaves it in the mode, train or eval, that it was in before.
        codes: the grids to learn from, with their labels where the model has classes, and their coarse codes where
            it has those.
        config: how long and how fast.
        validation: grids to choose the best weights by, none of them in ``codes``.
        checkpoint: a file to go on from if it is there, and to write the state of the training to.
        checkpoint_seconds: how much work may be lost when the process is killed, 0 or more. Ctrl-C, SIGTERM and SIGHUP
            lose none.
        until: stop when this many steps are done, 1 or more, with the weights as they are then. The next call goes on
            from ``checkpoint``, and all calls together are one run.
        after_step: called after each step with the number of steps done and the history so far, to look at the model.

    Returns:
        the history of the run so far, a ``Record`` for each validation.

    Raises:
        InputError: an empty set, codes of another K or another grid than the model's, labels it has no class for; a
            checkpoint that is damaged, of another run, or further than ``until``; a loss that is not finite, in
            training or validation.
        Stopped: after Ctrl-C, when the step is done and the checkpoint written; a ``KeyboardInterrupt``. In a notebook,
            a training without a checkpoint is kept in memory, and goes on when the same one is run again.
        SystemExit: the same after SIGTERM or SIGHUP.
        ProcessLostError: one of several processes has ended.

    Where torch.distributed is initialised, all processes have to call this, with the same settings and data, and train
    one model together: all begin with the first one's weights, and it alone reads and writes ``checkpoint``.
    ``config.shards`` has to be a multiple of the number of processes.
    """
    codes.check_fits(model)
    if validation is not None:
        validation.check_fits(model)
    device = next(model.parameters()).device
    nll = compiled(model.nll) if config.compile else model.nll
    positions = math.prod(codes.grid)

    def fetch(indices: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        return given(model, codes, indices, device)

    def loss(grids: Tensor, labels: Tensor | None, coarse: Tensor | None) -> Tensor:
        return nll(grids, labels, coarse).mean() / positions

    def evaluate(grids: LatentCodes) -> float:
        return grid_nll(model, grids).mean().item() / positions

    trainer = Trainer("training prior", model, loss, evaluate, config, codes, validation, model.matrices(), fetch)
    return trainer.train(checkpoint, checkpoint_seconds, until, after_step)
