"""How a VQ-VAE is trained."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from torch import Tensor

from lpvq.data.images import ImageData
from lpvq.errors import InputError
from lpvq.models.vqvae import VQVAE
from lpvq.training.config import TrainConfig
from lpvq.training.losses import reconstruction_error
from lpvq.training.trainer import AfterStep, History, Trainer


def train_vqvae(
    model: VQVAE,
    data: ImageData,
    config: TrainConfig,
    validation: ImageData | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 10.0,
    until: int | None = None,
    after_step: AfterStep | None = None,
) -> History:
    """Train a VQ-VAE in place, on the device it is on.

    The loss is the mean squared error divided by the variance of the training images, plus the quantizer's loss
    (equation 3 of arXiv:1711.00937). ``valid_loss`` is MSE / variance alone.

    Args:
        model: ends in eval mode, with the weights that did best on ``validation``; with the last ones where there is
            none. An error or Ctrl-C leaves it in the mode, train or eval, that it was in before.
        data: the images to learn from.
        config: how long and how fast.
        validation: images to choose the best weights by, none of them in ``data``.
        checkpoint: a file to go on from if it is there, and to write the state of the training to.
        checkpoint_seconds: how much work may be lost when the process is killed, 0 or more. Ctrl-C, SIGTERM and SIGHUP
            lose none.
        until: stop when this many steps are done, 1 or more, with the weights as they are then. The next call goes on
            from ``checkpoint``, and all calls together are one run.
        after_step: called after each step with the number of steps done and the history so far, to look at the model.

    Returns:
        the history of the run so far, a ``Record`` for each validation.

    Raises:
        InputError: an empty set, images of another shape than the model's or without any variance; a checkpoint that is
            damaged, of another run, or further than ``until``; a loss that is not finite, in training or validation.
        Stopped: after Ctrl-C, when the step is done and the checkpoint written; a ``KeyboardInterrupt``. In a notebook,
            a training without a checkpoint is kept in memory, and goes on when the same one is run again.
        SystemExit: the same after SIGTERM or SIGHUP.
        ProcessLostError: one of several processes has ended.

    Where torch.distributed is initialised, all processes have to call this, with the same settings and data, and train
    one model together: all begin with the first one's weights, and it alone reads and writes ``checkpoint``.
    ``config.shards`` has to be a multiple of the number of processes.
    """
    if config.compile:
        raise InputError("a VQ-VAE cannot be compiled: leave compile out")
    device = next(model.parameters()).device
    for images in (data, validation):
        if images is not None and len(images):
            model.encode(images.floats(slice(1)).to(device))  # refuses images of another shape than the model's
    variance = data.variance()

    def loss(indices: Tensor) -> Tensor:
        output = model(data.floats(indices).to(device))
        return output.reconstruction_loss / variance + output.quantizer_loss

    def evaluate(images: ImageData) -> float:
        return reconstruction_error(model, images) / variance

    def one_batch(parts: Sequence[Tensor]) -> AbstractContextManager[None]:
        return model.one_batch((data.floats(indices).to(device) for indices in parts), config.fast_reduce)

    trainer = Trainer(
        "training VQ-VAE", model, loss, evaluate, config, data, validation, model.matrices(), one_batch=one_batch
    )
    return trainer.train(checkpoint, checkpoint_seconds, until, after_step)
