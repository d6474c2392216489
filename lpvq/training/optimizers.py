"""What moves the weights: AdamW, and for the matrices of hidden layers, where the settings say so, Muon.

- Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, arXiv:1711.05101: AdamW.
- Jordan et al. (2024), Muon: An optimizer for hidden layers in neural networks: the momentum of a matrix of weights is
  made orthogonal before it is applied, so that a step moves in all directions of the matrix alike. Its size is scaled
  to that of a step of AdamW (Liu et al. 2025, arXiv:2502.16982, equation 4).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lpvq.training.config import TrainConfig
from lpvq.training.recorded import RecordedMuon, recorder


class Optimizer:
    """AdamW for some parameters and Muon for others, as one.

    Args:
        parameters: all that are trained.
        matrices: those of them that Muon moves if the settings ask for it, each of 2 or more dimensions. A kernel of a
            convolution, (out, in, rows, columns), counts as a matrix of its first dimension by all the others.
        config: the rates and the weight decay.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], matrices: Sequence[nn.Parameter], config: TrainConfig
    ) -> None:
        self.parameters = list(parameters)
        self.rate, self.muon_rate = config.learning_rate, config.muon_rate
        orthogonalised = {id(matrix) for matrix in matrices} if config.muon_rate else set()
        # Muon takes matrices only: views that share the memory of the weights.
        self.views = {
            index: nn.Parameter(parameter.detach().view(len(parameter), -1))
            for index, parameter in enumerate(self.parameters)
            if id(parameter) in orthogonalised
        }
        others = [parameter for parameter in self.parameters if id(parameter) not in orthogonalised]
        decay = config.weight_decay
        self.adamw = torch.optim.AdamW(others, config.learning_rate, weight_decay=decay, fused=True) if others else None
        self.muon = (
            torch.optim.Muon(self.views.values(), config.muon_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
            if self.views
            else None
        )
        run = recorder(self.parameters[0].device)
        self.recorded_muon = (
            RecordedMuon(self.muon, list(self.views.values()), run)
            if self.muon is not None and run is not None
            else None
        )

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in (*self.parameters, *self.views.values()):
            parameter.grad = None

    def step(self, share: float) -> None:
        """Move all parameters by their gradients.

        Args:
            share: of the highest rates, 0 … 1.
        """
        for index, view in self.views.items():
            gradient = self.parameters[index].grad
            view.grad = None if gradient is None else gradient.reshape(view.shape)
        if self.adamw is not None:
            self.adamw.param_groups[0]["lr"] = share * self.rate
            self.adamw.step()
        if self.recorded_muon is not None:
            self.recorded_muon.step(share)
        elif self.muon is not None:
            self.muon.param_groups[0]["lr"] = share * self.muon_rate
            self.muon.step()

    def state(self) -> dict[int, dict[str, Tensor]]:
        """Return what is kept for each parameter that had a gradient, by its index; see ``kept_of``."""
        return {
            index: self._state_of(moved)[moved]
            for index, moved in enumerate(self._moved())
            if moved in self._state_of(moved)
        }

    def load_state(self, state: dict[int, dict[str, Tensor]]) -> None:
        """Go on from what ``state`` returned."""
        for index, moved in enumerate(self._moved()):
            if index in state:
                self._state_of(moved)[moved] = {
                    name: value.to(moved.device) if name != "step" else value for name, value in state[index].items()
                }

    def kept_of(self, index: int) -> dict[str, Tensor]:
        """Return tensors with the names, shapes and types of what is kept for a parameter."""
        if index in self.views:
            return {"momentum_buffer": self.views[index]}
        like = self.parameters[index]
        return {"step": torch.tensor(0.0), "exp_avg": like, "exp_avg_sq": like}

    def _moved(self) -> list[nn.Parameter]:
        """What an optimizer moves, in the order of the parameters: the view, where there is one."""
        return [self.views.get(index, parameter) for index, parameter in enumerate(self.parameters)]

    def _state_of(self, moved: nn.Parameter) -> Any:
        """The state of the optimizer that moves a parameter or a view."""
        optimizer = self.muon if any(moved is view for view in self.views.values()) else self.adamw
        return {} if optimizer is None else optimizer.state
