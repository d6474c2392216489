"""How a VQ-VAE is trained."""

from pathlib import Path

from torch import Tensor

from lpvq.data.images import ImageData
from lpvq.errors import InputError
from lpvq.models.vqvae import VQVAE
from lpvq.training.config import TrainConfig, identity_of
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
        model: ends with the weights that did best on ``validation``; with the last ones where there is none.
        data: the images to learn from.
        config: how long and how fast.
        validation: images to choose the best weights by, none of them in ``data``.
        checkpoint: a file to go on from if it is there, and to write the state of the training to.
        checkpoint_seconds: how much work may be lost when the process is killed. Ctrl-C, SIGTERM and SIGHUP lose none.
        until: stop when so many steps are done, with the weights as they are then. The next call goes on from
            ``checkpoint``, and all calls together are one run.
        after_step: called after each step with the number of steps done and the history so far, to look at the model.

    Returns:
        the history of the run so far, a ``Record`` for each validation.

    Raises:
        InputError: data that does not fit, a checkpoint of another run, a loss that is not finite.
        KeyboardInterrupt: after Ctrl-C, when the step is done and the checkpoint written.
        SystemExit: the same after SIGTERM or SIGHUP.
    """
    if config.compile:
        raise InputError("a VQ-VAE cannot be compiled: leave compile out")
    variance = data.variance()
    device = next(model.parameters()).device

    def loss(indices: Tensor) -> Tensor:
        output = model(data.floats(indices).to(device))
        return output.reconstruction_loss / variance + output.quantizer_loss

    def evaluate() -> float:
        return float("nan") if validation is None else reconstruction_error(model, validation) / variance

    identity = identity_of(model, config, data, validation)
    trainer = Trainer("training VQ-VAE", model, loss, len(data), evaluate, config, identity)
    return trainer.train(checkpoint, checkpoint_seconds, until, after_step)
