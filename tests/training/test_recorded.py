"""What a GPU records of a training step, on a machine without one: the same work, in the same memory each time."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from small_models import CONFIG, make_prior, make_vqvae
from torch import Tensor, nn

from lpvq import InputError, LatentCodes, train_prior, train_vqvae
from lpvq.data.images import ImageData
from lpvq.models.checks import check_codes
from lpvq.training import optimizers, trainer
from lpvq.training.config import TrainConfig
from lpvq.training.optimizers import Optimizer
from lpvq.training.recorded import RecordedGradients

EXACT = replace(CONFIG, muon_rate=0.02, weight_decay=0.1, precision="float32")


class Recorder:
    """Stands for ``CUDAGraphRunner``: does the work anew each time, and knows how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, function: Callable[[int], None], number: int) -> None:
        self.times += 1
        function(number)


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[Recorder]]]:
    """Have everything recorded that would be on a GPU: what has been made for gradients, and for Muon."""
    made: dict[str, list[Recorder]] = {"gradients": [], "muon": []}
    for name, module in (("gradients", trainer), ("muon", optimizers)):
        made_here = made[name]

        def recorder(_: torch.device, made_here: list[Recorder] = made_here) -> Recorder:
            made_here.append(Recorder())
            return made_here[-1]

        monkeypatch.setattr(module, "recorder", recorder)
    yield made


def test_gradients_are_those_of_each_batch_in_the_same_memory() -> None:
    used, unused = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.ones(2))

    def loss(x: Tensor, y: Tensor | None) -> Tensor:
        assert y is None
        return (used * x).square().sum()

    gradients = RecordedGradients(loss, [used, unused], lambda: torch.autocast("cpu", enabled=False), Recorder())
    places = set()
    for x in (torch.tensor([1.0, 1.0]), torch.tensor([3.0, 0.5])):
        assert gradients(x, None).item() == (used * x).square().sum().item()
        assert used.grad is not None and used.grad.tolist() == (2 * used * x**2).tolist()
        assert unused.grad is None
        places.add(used.grad.data_ptr())
        used.grad.mul_(7)  # as clipping does
    assert len(places) == 1


def moved_by(config: TrainConfig) -> list[Tensor]:
    torch.manual_seed(0)
    matrix, kernel, bias = (nn.Parameter(torch.randn(shape)) for shape in ((5, 4), (3, 2, 2, 2), (3,)))
    optimizer = Optimizer([matrix, kernel, bias], [matrix, kernel], config)
    for share in (0.3, 1.0, 0.7, 0.0):
        for parameter in (matrix, kernel, bias):
            parameter.grad = torch.randn_like(parameter)
        optimizer.step(share)
    return [matrix.detach(), kernel.detach(), bias.detach()]


def test_a_share_of_a_step_at_the_highest_rate_is_a_step_at_that_share_of_the_rate(
    recorders: dict[str, list[Recorder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = moved_by(EXACT)
    assert [recorder.times for recorder in recorders["muon"]] == [4]
    monkeypatch.setattr(optimizers, "recorder", lambda _: None)
    for one, other in zip(recorded, moved_by(EXACT), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)  # a few roundings more in each step


def test_a_prior_whose_steps_are_recorded_learns_the_same(
    codes: LatentCodes, recorders: dict[str, list[Recorder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, plain = make_prior(), make_prior()
    losses = train_prior(recorded, codes, EXACT)
    assert [recorder.times for found in recorders.values() for recorder in found] == [EXACT.steps, EXACT.steps]
    for module in (trainer, optimizers):
        monkeypatch.setattr(module, "recorder", lambda _: None)
    for one, other in zip(losses, train_prior(plain, codes, EXACT), strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)


def test_of_a_vqvae_whose_codebook_decides_by_what_it_sees_only_muon_is_recorded(
    smileys: ImageData, recorders: dict[str, list[Recorder]]
) -> None:
    train_vqvae(make_vqvae(), smileys, EXACT)
    assert sum(recorder.times for recorder in recorders["gradients"]) == 0
    assert [recorder.times for recorder in recorders["muon"]] == [EXACT.steps]


def test_a_batch_in_shards_is_not_recorded(codes: LatentCodes, recorders: dict[str, list[Recorder]]) -> None:
    train_prior(make_prior(), codes, replace(EXACT, shards=2))
    assert sum(recorder.times for recorder in recorders["gradients"]) == 0


def test_values_are_looked_at_unless_a_gpu_records(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnGPU(Tensor):
        is_cuda = True

    codes = torch.tensor([[[0, 7]]]).as_subclass(OnGPU)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    with pytest.raises(InputError, match="0 … 3"):
        check_codes(codes, 4)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    check_codes(codes, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_recorded_steps_are_those_that_are_not(codes: LatentCodes, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = train_prior(make_prior().cuda(), codes, EXACT)
    for module in (trainer, optimizers):
        monkeypatch.setattr(module, "recorder", lambda _: None)
    for one, other in zip(recorded, train_prior(make_prior().cuda(), codes, EXACT), strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)
