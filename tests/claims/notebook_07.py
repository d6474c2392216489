"""What 07 claims."""

from claims import Claim, Training, exact

TRAININGS: dict[str, Training] = {}
TAMED = (
    "{name: measure(prior.generate(labels=in_turns, generator=seeded(1), **options), in_turns)[0]"
    " for name, options in tamed.items()}"
)
CLASH = (
    "{name: [nats_by_position(grids, test_labels)[:, known].sum(dim=1).mean() for grids in (test_codes,"
    " prior.generate(test_codes, labels=test_labels, known=known, generator=seeded(3)))]"
    " for name, known in (('upper', upper), ('left', ~right), ('right', right), ('lower', ~upper))}"
)
WORTH = (
    "{name: 1 / complete_by_weight(1, known, tries)[1].square().sum()"
    " for name, known in (('left half', ~right), ('lower half', ~upper))}"
)
CLAIMS = [
    Claim(
        "Both methods draw from the same distribution, by different routes.",
        "two-ways",
        "{'off by, line': standard_errors_off(on_line).max(), 'Gumbel': standard_errors_off(by_gumbel).max()}",
        "max(value.values()) < 4",
    ),
    exact("The random numbers decide everything, so the same seed draws the same grids again.", "same-grids"),
    Claim(
        "most of them are faces, and each row has its own kind of mouth: happy, sad or surprised.",
        "own-faces",
        "{'plainly wrong': far_off(painter.decode(grids)), 'right mouth':"
        " right_mouths(painter.decode(grids), each_ten_times)}",
        "value['plainly wrong'] < 0.5 and value['right mouth'] > 0.8",
    ),
    Claim(
        "At $T = 1$ it is about 0.4 bits, just like the prior's bits per code",
        "entropy-curve",
        "{'entropy': bits[temperatures.index(1)], 'bits per code': prior.nll(test_codes, test_labels).mean().item()"
        " / 64 / log(2)}",
        "0.3 < value['entropy'] < 0.52 and abs(value['entropy'] - value['bits per code']) < 0.06",
    ),
    Claim(
        "raising $T$ is riskier than lowering it by the same factor",
        "entropy-curve",
        "{'up': bits[5] - bits[4], 'down': bits[4] - bits[3]}",
        "value['up'] > 1.2 * value['down']",
    ),
    Claim(
        "Faces of the same class are the same, code for code; the random numbers are not used.",
        "temperature-faces",
        "(sample_faces(temperature=0)[:3] - sample_faces(temperature=0)[3:6]).abs().max()",
        "value < 1e-5",
    ),
    Claim(
        "In some of the nine pictures (anything from one to six is fine) the background changes halfway or the face"
        " loses its shape.",
        "temperature-faces",
        "{f'plainly wrong, T = {T}': far_off(sample_faces(temperature=T)) for T in (0.5, 1, 2)}",
        "0.1 < value['plainly wrong, T = 2'] < 0.7 and value['plainly wrong, T = 0.5'] < 0.2",
    ),
    exact("Top-p keeps the code that crosses p, so the most probable code always stays.", "top-p-right"),
    Claim(
        "In the upper left corner six codes remain, one for each background.",
        "kept",
        "{title: [kept[0, 0], kept[0, 7], kept[7, 0], kept.max()] for title, kept in counts}",
        "list(value.values())[0][0] == 6",
    ),
    Claim(
        "From $p = 0.9$ to $p = 0.99$ the largest number grows by half or more",
        "kept",
        "{title: kept.max() for title, kept in counts}",
        "list(value.values())[1] >= 1.5 * list(value.values())[0]",
    ),
    Claim(
        "a grid costs most at $T = 1.3$, less when tamed by top-k, less still by top-p, and least with top-p at "
        "$T = 1$",
        "trade",
        TAMED,
        "list(value.values()) == sorted(value.values(), reverse=True)",
    ),
    Claim(
        "Up to about $T = 0.7$ diversity grows fast; above $T = 1$ the nats grow but diversity hardly does.",
        "trade",
        "{f'T = {T}': [nats, bits] for T, nats, bits in points if T in (0, 0.7, 1, 1.4)}",
        "value['T = 0.7'][1] - value['T = 0'][1] > 3 * (value['T = 1.4'][1] - value['T = 1'][1])"
        " and value['T = 1.4'][0] - value['T = 1'][0] > 5",
    ),
    Claim(
        "up to a point, a higher temperature brings diversity; beyond that point, it brings mistakes",
        "trade",
        "{f'T = {T}': [nats, bits] for T, nats, bits in points if T in (0, 0.7, 1, 1.4)}",
        "value['T = 0.7'][1] - value['T = 0'][1] > 2 * (value['T = 1.4'][1] - value['T = 1'][1])"
        " and value['T = 1.4'][0] > 1.4 * value['T = 1'][0]",
    ),
    Claim("Real images need about 18 nats.", "trade", "real[0]", "14 < value < 22"),
    Claim(
        "Grids drawn at $T = 1$ need a little more, although they come from the very model that judges them",
        "trade",
        "{'more': points[5][1] - real[0]}",
        "0 < value['more'] < 4",
    ),
    Claim(
        "At temperatures from 0.8 to 1, the drawn grids lie next to the real ones in the chart.",
        "trade",
        "{'real': real, **{f'T = {T}': [nats, bits] for T, nats, bits in points if T in (0.85, 1)}}",
        "value['T = 0.85'][0] - 0.5 <= value['real'][0] <= value['T = 1'][0] + 0.5",
    ),
    Claim(
        "Greedy grids cost about 11 nats, little more than half of what a real image costs.",
        "trade",
        "{'greedy': points[0][1], 'real': real[0]}",
        "8 < value['greedy'] < 14 and 0.5 * value['real'] < value['greedy'] < 0.7 * value['real']",
    ),
    Claim(
        "A happy and a sad grid share about nine codes in ten in the top rows, and about half in the middle rows.",
        "labels",
        "agreeing",
        "0.8 < value[0] and value[3:7].min() < 0.65",
    ),
    Claim(
        "You asked for faces of a given class; the prior obeyed, but the same random numbers do not mean the same"
        " face.",
        "bayes",
        "{'obeyed': obeyed.float().mean(), 'recognised': recognised.float().mean(), 'equal codes': agreeing.mean()}",
        "value['obeyed'] >= 0.98 and value['recognised'] >= 0.98 and value['equal codes'] < 0.9",
    ),
    exact("The label reaches the logits at every position", "labels-matter"),
    Claim(
        "With the upper half given, its codes cost the same as in the real image, as they must.",
        "clash",
        CLASH,
        "abs(value['upper'][0] - value['upper'][1]) < 0.01",
    ),
    Claim(
        "With the lower half given, its codes cost well over 100 nats, while they cost about four in the real image",
        "clash",
        CLASH,
        "2.5 < value['lower'][0] < 6 and value['lower'][1] > 120",
    ),
    Claim(
        "about 100 nats instead of about six",
        "clash",
        CLASH,
        "4 < value['right'][0] < 8 and 60 < value['right'][1] < 160",
    ),
    Claim("That costs a dozen nats or so.", "clash", CLASH, "6 < value['left'][1] - value['left'][0] < 20"),
    Claim(
        "but the two parts clash when the given codes come last",
        "clash",
        CLASH,
        "all(value[half][1] > 5 * value[half][0] for half in ('right', 'lower'))",
    ),
    Claim(
        "If you give the lower half, its codes cost only a small fraction of what they did before",
        "repair",
        "{'nats of the given codes, lower half': nats}",
        "value['nats of the given codes, lower half'] <= 60",
    ),
    Claim(
        "For the left half it is in the hundreds. For the lower half it is about one",
        "repair",
        WORTH,
        "value['left half'] >= 100 and value['lower half'] < 2.5",
    ),
    Claim(
        "Drawing many completions and weighting them by the ignored factors repairs this, as long as at least one "
        "completion fits.",
        "repair",
        "{name: nats_by_position(complete_by_weight(1, known, tries)[0], test_labels[1].expand(7))[:, known].sum(dim=1)"
        ".mean() for name, known in (('left half', ~right), ('lower half', ~upper))}",
        "value['left half'] < 20",
    ),
]
