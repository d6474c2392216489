"""The page that comes with the project, and the prior in it as Python has it."""

from typing import Any

import torch
from numpy.typing import NDArray

from lpvq.models.exact_sums import ExactLinear, scaled
from lpvq.models.whole_number import make_tables
from lpvq.models.whole_number_prior import WholeNumberPixelCNN
from lpvq.page import packing
from lpvq.page.export import models_in
from lpvq.paths import CHECKOUT

assert CHECKOUT is not None
PATH = CHECKOUT / "output" / "live.html"


def read() -> tuple[str, str, dict[str, Any], dict[str, NDArray]]:
    """Return the page, the models in it as text, and the facts and numbers that they are."""
    page = PATH.read_text(encoding="utf-8")
    models = models_in(page)
    return page, models, *packing.unpack(models)


def prior_in(facts: dict[str, Any], arrays: dict[str, NDArray]) -> WholeNumberPixelCNN:
    """Return the prior that a page holds."""
    about = facts["prior"]
    model = WholeNumberPixelCNN(
        about["codes"],
        (about["height"], about["width"]),
        about["blocks"],
        2 * about["reach"] + 1,
        about["channels"],
        len(facts["labels"]),
        position="prior.layers.0.row_shifts" in arrays,
        num_attentions=len(about["attentions"]),
    )
    state = {name: torch.tensor(arrays[f"prior.{name}"]) for name in model.state_dict() if f"prior.{name}" in arrays}
    for name, module in model.named_modules():
        if isinstance(module, ExactLinear) and module.bias is not None:
            step = scaled(torch.ones(len(module.bias)), state[f"{name}.exponent"].clamp(max=-1))
            state[f"{name}.bias"] = state[f"{name}.bias"] * step
    for name in state:  # what labels and places add is kept in halves
        if name.endswith(("_shifts", "_rows", "_columns")):
            state[name] = state[name] / 2
    state |= {f"{name}_table": table for name, table in make_tables().items()}
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in state.items()})
    model.check_sums()
    return model.eval()
