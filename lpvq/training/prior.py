"""How a prior is trained."""

import math
from pathlib import Path

from torch import Tensor

from lpvq.data.latent_codes import LatentCodes
from lpvq.models.pixelcnn import PixelCNN
from lpvq.runtime import compiled
from lpvq.training.config import TrainConfig, identity_of
from lpvq.training.losses import grid_nll
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
        model: ends with the weights that did best on ``validation``; with the last ones where there is none.
        codes: the grids to learn from, with their labels where the model has classes.
        config: how long and how fast.
        validation: grids to choose the best weights by, none of them in ``codes``.
        checkpoint: a file to go on from if it is there, and to write the state of the training to.
        checkpoint_seconds: how much work may be lost when the process is killed. Ctrl-C, SIGTERM and SIGHUP lose none.
        until: stop when so many steps are done, with the weights as they are then. The next call goes on from
            ``checkpoint``, and all calls together are one run.
        after_step: called after each step with the number of steps done and the history so far, to look at the model.

    Returns:
        the history of the run so far, a ``Record`` for each validation.

    Raises:
        InputError: the codes have another K or another grid than the model, or labels it has no class for; a checkpoint
            of another run; a loss that is not finite.
        KeyboardInterrupt: after Ctrl-C, when the step is done and the checkpoint written.
        SystemExit: the same after SIGTERM or SIGHUP.
    """
    codes.check_fits(model)
    if validation is not None:
        validation.check_fits(model)
    device = next(model.parameters()).device
    nll = compiled(model.nll) if config.compile else model.nll
    positions = math.prod(codes.grid)

    def loss(indices: Tensor) -> Tensor:
        labels = None if model.num_classes is None else codes.labels[indices].to(device)
        return nll(codes.codes[indices].to(device), labels).mean() / positions

    def evaluate() -> float:
        return float("nan") if validation is None else grid_nll(model, validation).mean().item() / positions

    identity = identity_of(model, config, codes, validation)
    trainer = Trainer("training prior", model, loss, len(codes), evaluate, config, identity)
    return trainer.train(checkpoint, checkpoint_seconds, until, after_step)
