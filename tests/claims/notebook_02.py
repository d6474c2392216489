"""What 02 claims. Of a training, ``judge`` notes the step, the entries in use, the error and the length of a vector."""

from claims import Claim, Training, exact

TRAININGS = {
    "walk": Training(why="one vector, no model: it ends where it arrives"),
    "losses": Training(why="gradients to look at, no step is taken"),
    "learn": Training(("steps",)),
}
USED = "{name: [history[-1][1] for history in runs] for name, runs in histories.items()}"
ERRORS = "{name: [history[-1][2] for history in runs] for name, runs in histories.items()}"
CLAIMS = [
    exact("the search for the nearest code as one matrix product", "find-nearest"),
    Claim(
        "With one random entry the error is 1.5 to 2.5",
        "sizes",
        "{'1': errors[0], '256': errors[-1]}",
        "1.5 < value['1'] < 2.5 and 0.007 < value['256'] < 0.014",
    ),
    Claim(
        "each doubling of $K$, that is, each extra bit, halves the error",
        "sizes",
        "[before / after for before, after in zip(errors[-4:], errors[-3:])]",
        "all(1.6 < factor < 2.5 for factor in value)",
    ),
    Claim(
        "The wrong version has a much larger error (here 0.34 against 0.06",
        "grid-wrong",
        "{name: one / faces.var() for name, one in mse.items()}",
        "value['wrong'] > 1.5 * value['right']",
    ),
    exact("You passed a gradient straight through the choice: `z + (entry - z).detach()`.", "straight"),
    exact("the vector walks through the cells until its entry is the one nearest to the target", "walk"),
    exact("the codebook term reaches only entries and the commitment term only vectors", "losses"),
    exact("looking at the loss will never show you that $\\beta$ is on the wrong term", "beta"),
    Claim(
        "You saw vectors run away without the commitment",
        "commitment",
        "{'times as long': [without[-1][3] / with_it[-1][3]"
        " for without, with_it in zip(histories['β = 0'], histories['β = 0.25'])]}",
        "min(value['times as long']) > 100",
    ),
    Claim(
        "at the end the vectors are many thousands of times as long",
        "commitment",
        "{'times as long': [history[-1][3] / history[0][3] for history in histories['β = 0']]}",
        "min(value['times as long']) > 5e3",
    ),
    Claim(
        "The error stays at 1, the error of a flat grey image: the model has learned nothing.",
        "commitment",
        "{'β = 0': [history[-1][2] for history in histories['β = 0']]}",
        "min(value['β = 0']) > 0.9",
    ),
    Claim(
        "Here three to five of the 256 entries are in use (expect fewer than 20).",
        "collapse",
        "[history[-1][1] for _, history in with_beta]",
        "max(value) < 20",
    ),
    Claim(
        "you pay for 256 codes and use a handful",
        "collapse",
        "[history[-1][1] for _, history in with_beta]",
        "max(value) < 20",
    ),
    Claim(
        "and a codebook collapse, each time with three seeds",
        "collapse",
        "[history[-1][1] for _, history in with_beta]",
        "max(value) < 0.1 * 256",
    ),
    exact("With counts that start at zero, both entries explode", "zero"),
    exact("You put the pieces into a class of your own", "my-quantizer-check"),
    Claim(
        "Learning by gradient gives the largest error for each seed",
        "cures-look",
        ERRORS,
        "all(by_gradient > max(others) for by_gradient, *others in zip(*value.values()))",
    ),
    Claim(
        "Averages alone bring more entries into use, here ten to twenty. With twice as many steps there are more, "
        "about 20 to 60, but most entries still go unused",
        "cures-look",
        USED,
        "all(with_them > without for with_them, without in zip(value['averages'], value['gradient']))"
        " and max(value['averages']) < 0.5 * 256",
    ),
    Claim(
        "Starting from data adds little.",
        "cures-look",
        USED,
        "mean(value['averages, from data']) < 1.5 * mean(value['averages'])",
    ),
    Claim(
        "the vectors move away within a few steps, and most entries are left behind",
        "cures-look",
        "{'in use at the first look after step 0': [history[1][1] for history in histories['averages, from data']]}",
        "max(value['in use at the first look after step 0']) < 0.5 * 256",
    ),
    Claim(
        "About 200 entries are in use (150 to 256 is fine)",
        "cures-look",
        USED,
        "min(value['averages, from data, restarts']) >= 150",
    ),
    Claim(
        "the error is much smaller, here about half as large. It is the smallest of the four for each seed.",
        "cures-look",
        ERRORS,
        "all(ours < 0.8 * min(others) for *others, ours in zip(*value.values()))",
    ),
    Claim(
        "With averages and a start from data, most entries still went unused; restarts brought most of them into use.",
        "cures-look",
        USED,
        "max(value['averages'] + value['averages, from data']) < 0.5 * 256"
        " and min(value['averages, from data, restarts']) > 0.5 * 256",
    ),
]
