"""What 06 claims. Rungs of the ladder are there if 04 and 05 have run in the same workspace."""

from claims import Claim, Training, exact

TRAININGS = {
    "train": Training(why="the cells that call it say how long"),
    "leak-training": Training(("100",)),
    "own-first": Training(("part",)),
    "overfitting": Training(("steps",)),
}
OWN = "{f'{parts * part} steps': bits.mean() for parts, (bits, _) in enumerate(looks, start=1)}"
LADDER = "{name: rung.value for name, rung in ladder.items()}"
BITS = "{name: one.value for name, one in bits.items()}"
SNAPSHOTS = (
    "{'untrained': look_untrained[0], '10 %': look_first[0], '25 %': look_second[0], '75 %': look_third[0],"
    " 'trained': look_last[0]}"
)
MEMORISED = (
    "{'least': min(on_others), 'at look': on_others.index(min(on_others)), 'end': on_others[-1],"
    " 'the 64, end': on_few[-1], 'the 64, then': on_few[on_others.index(min(on_others))]}"
)
CLAIMS = [
    exact("With $b = 4$ nearly all of $\\tanh(a)$ passes; with $b = -4$ hardly anything", "gate"),
    Claim(
        "Without the sum, each layer removes most of the gradient; after a dozen layers, next to nothing is left",
        "residual",
        "{name: of_layers[0] / of_layers[-1] for name, of_layers in lengths.items()}",
        "value['without'] < 0.01",
    ),
    Claim(
        "the residual keeps the gradient alive",
        "residual",
        "{name: of_layers[0] / of_layers[-1] for name, of_layers in lengths.items()}",
        "value['with residual'] > 0.5",
    ),
    exact("You built the model and tested what must hold", "model-check"),
    exact("no position sees itself or anything later", "causality"),
    exact("Each time, a single wrong line was enough to cause the leak.", "leaks"),
    exact("the label reaches every block", "label-check"),
    exact("and the probabilities of all grids sum to one", "sum-check"),
    exact("With a different label the same 81 grids get different shares", "shares"),
    Claim(
        "With a leak they sum to more, and the loss is too good to be true.",
        "leak-sum",
        "{'honest, sum': sums['honest'], 'leaky, sum': sums['leaky'], 'leaky, nats': tiny_losses['leaky'][-1]}",
        "abs(value['honest, sum'] - 1) < 0.001 and value['leaky, sum'] > 40 and value['leaky, nats'] < 0.3",
    ),
    Claim('so its "probabilities" add up to nearly 81', "leak-sum", "sums['leaky']", "value > 65"),
    Claim(
        "the prior should need 1.5 bits per code or less after the third part",
        "own-faces",
        OWN,
        "list(value.values())[-1] <= 1.5",
    ),
    Claim(
        "After the third part, most of the pictures are clearly faces, each with its own expression.",
        "own-faces",
        "{'plainly wrong': far_off(looks[-1][1]), 'right mouth': right_mouths(looks[-1][1], torch.arange(8) % 3)}",
        "value['plainly wrong'] < 0.5 and value['right mouth'] > 0.5",
    ),
    Claim(
        "you need more than five bits per code; looking back at earlier codes helps most.",
        "own-ladder",
        LADDER,
        "value['unigram per position'] > 5 and value['unigram per position'] - value['a masked stack'] >"
        " max(value['uniform'] - value['unigram'], value['unigram'] - value['unigram per position'],"
        " value['a masked stack'] - value['two stacks'], value['two stacks'] - value['gated PixelCNN'])",
    ),
    Claim(
        "The last bar shows the same model, trained for longer.",
        "own-ladder",
        LADDER,
        "list(value.values()) == sorted(value.values(), reverse=True)",
    ),
    Claim(
        "Then the training loss keeps falling while the validation loss turns and rises.",
        "overfitting",
        MEMORISED,
        "value['end'] > value['least'] + 0.05 and value['the 64, end'] < value['the 64, then']",
    ),
    Claim(
        "faces appear: first there are patches, then parts of faces, and finally parts that fit together.",
        "faces",
        "{'nats': [look[0] for look in (look_untrained, look_first, look_last)],"
        " 'plainly wrong': [far_off(look[1]) for look in (look_untrained, look_first, look_last)]}",
        "sorted(value['nats'], reverse=True) == value['nats'] and value['plainly wrong'][0] == 1"
        " and value['plainly wrong'][1] >= value['plainly wrong'][2] and value['plainly wrong'][2] < 0.3",
    ),
    Claim(
        "should need 21 nats per grid or less when fully trained; after a tenth of the steps, it still needs at least "
        "half as much again",
        "faces",
        SNAPSHOTS,
        "value['trained'] <= 21 and value['10 %'] > 1.4 * value['trained']",
    ),
    Claim(
        "There is hardly any overfitting: no grid appears often enough to be memorised.",
        "curve",
        "{'training': history[-1]['train_loss'], 'validation': history[-1]['valid_loss']}",
        "value['validation'] - value['training'] < 0.03",
    ),
    Claim(
        "The prior needs about 0.4: it can predict nine tenths of what the frequencies leave open.",
        "ladder",
        BITS,
        "0.3 < value['prior'] < 0.5 and 0.87 < 1 - value['prior'] / value['unigram'] < 0.93",
    ),
    Claim(
        "is shorter by one or two hundredths of a bit: the prior hardly overfits",
        "ladder",
        "{'bits': bits['prior'].value - bits['prior, training images'].value,"
        " 'standard error': (bits['prior'].error ** 2 + bits['prior, training images'].error ** 2) ** 0.5}",
        "value['bits'] < 0.03",
    ),
    Claim(
        "The lowest bar is the source, with two thirds to three quarters of the prior's bits.",
        "ladder",
        "{'share': source.value / evaluation['prior'].nats_per_grid}",
        "0.6 < value['share'] < 0.85",
    ),
    Claim(
        "The difference of a few nats per grid (about five in the laptop profile) is what the prior still has to learn",
        "ladder",
        "evaluation['prior'].nats_per_grid - source.value",
        "3 < value < 7",
    ),
    Claim(
        "In the laptop profile, not knowing the label costs nearly that much.",
        "label-known",
        "more",
        "0.95 < value < 1.11",
    ),
    Claim(
        "Only the upper left corner still costs its 2.6 bits",
        "positions",
        "{'upper left': surprise.mean(dim=0)[0, 0], 'others': [surprise.mean(dim=0)[i, j] for i, j in ((0, 7), (7, 0),"
        " (7, 7))]}",
        "2.4 < value['upper left'] < 2.8 and max(value['others']) < 0.3",
    ),
    Claim(
        "The upper left of the face stays expensive, because the face begins there",
        "positions",
        "{'upper left': surprise.mean(dim=0)[1:4, 1:4].mean(), 'lower right': surprise.mean(dim=0)[4:7, 4:7].mean()}",
        "value['upper left'] > 2 * value['lower right']",
    ),
    Claim(
        "In the laptop profile more than 98 % should be right, although nobody trained a classifier.",
        "positions",
        "(torch.stack([prior.nll(codes_there[:200], torch.full_like(labels_there[:200], label)).detach()"
        " for label in range(3)]).argmin(dim=0) == labels_there[:200]).float().mean()",
        "value > 0.98",
    ),
]
