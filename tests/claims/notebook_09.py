"""What 09 claims."""

from claims import BY_TRAINER, Claim, Training, exact

TRAININGS: dict[str, Training] = {
    "rule": BY_TRAINER,
    "two-measure": BY_TRAINER,
}
STEPS_BETWEEN = "{one.name: one.step.value for one in judged if one.step is not None}"
NEAR = (
    "{one.name: [one.neighbourhoods.precision.value, one.neighbourhoods.recall.value, one.neighbourhoods.density.value,"
    " one.neighbourhoods.coverage.value] for one in judged}"
)
SEEN = "{fault: {measure: seen_from.get((fault, measure)) or 2 for measure in names} for fault in faulty}"  # 2: never
KNOBS = "{line[:20].strip(): per_cents(line) for line in table[1:]}"
RECIPES = "{name: [list(column) for column in zip(*runs)] for name, runs in points.items()}"
CLAIMS = [
    Claim(
        "So resampling and the formula agree here.",
        "error-bootstrap",
        "{'resampled / formula': means.std() / standard_error}",
        "0.9 < value['resampled / formula'] < 1.1",
    ),
    Claim(
        "Test codes cost it about 0.01 bits more than training codes",
        "ladder",
        "{'bits': gap, 'standard error': both}",
        "0 < value['bits'] < 0.03",
    ),
    exact(
        "All their combinations are equally likely, so naming one costs the logarithm of their number.",
        "source-factors",
    ),
    Claim(
        "ours needs a third to a half more",
        "source-ladder",
        "{'more than the source': prior_nats.value / source.nats.value - 1}",
        "0.25 < value['more than the source'] < 0.55",
    ),
    Claim(
        "the prior stands above it by the Kullback-Leibler divergence between the two",
        "source-ladder",
        "{'lacking': lacking.value, 'standard error': lacking.error}",
        "value['lacking'] > 5 * value['standard error']",
    ),
    Claim(
        "about three quarters of the samples are true to the renderer, and a few in a hundred are plainly wrong",
        "nearest-shares",
        "{'true': qualities['samples'].true.value, 'plainly wrong': qualities['samples'].wrong.value}",
        "0.65 < value['true'] < 0.85 and 0.005 < value['plainly wrong'] < 0.06",
    ),
    Claim(
        "It is the *whole* that fails.",
        "nearest-shares",
        "{name: kind.value for name, kind in qualities['samples'].kinds.items()}",
        "max(value, key=value.get) == 'outline'",
    ),
    Claim(
        "You can hardly see the shift, yet measured in pixels it is the larger change.",
        "pixels",
        "{'moved': mean_distance(faces, faces_moved), 'other mouth': mean_distance(faces, faces_changed)}",
        "value['moved'] > value['other mouth']",
    ),
    Claim(
        "the classifier is hardly ever wrong about true faces",
        "reader-structure",
        "right",
        "value > 0.99",
    ),
    Claim(
        "*a measure sees what its features see*, and nothing else",
        "reader-structure",
        "{'moved': by_move, 'other mouth': by_mouth}",
        "value['other mouth'] > value['moved']",
    ),
    Claim(
        "An accuracy above 97 % in each class is fine.",
        "accuracy",
        "[correct[labels == index].float().mean() for index in range(3)]",
        "min(value) > 0.97",
    ),
    exact("You computed the Fréchet distance, precision and recall", "frechet-check"),
    Claim(
        "each feature alone has nearly the same histogram in both, and the sum of the two distances is almost 0",
        "frechet",
        "{'added up': sum(frechet_of_one_feature(rising[:, i], falling[:, i]) for i in range(2)),"
        " 'together': frechet(rising, falling)}",
        "value['added up'] < 0.1 and value['together'] > 1",
    ),
    Claim(
        "This *bias* falls roughly as $1/N$: twice as many images halve the floor.",
        "floor",
        "[before / after for before, after in zip(distances['test images'], distances['test images'][1:])]",
        "all(1.5 < factor < 2.5 for factor in value)",
    ),
    Claim(
        "judged with 125 images, true faces come out several times worse than our samples do with 2,000",
        "floor",
        "{'true faces, few': distances['test images'][0], 'samples, all': distances['samples'][-1]}",
        "value['true faces, few'] > 3 * value['samples, all']",
    ),
    Claim(
        "Both steps are small: at most a little more than 1, and perhaps indistinguishable from 0. The next step, from "
        "samples to unigram codes, is more than 100.",
        "ladder-of-images",
        STEPS_BETWEEN,
        "max(value['reconstructions'], value['samples']) < 1.5 and value['unigram codes'] > 100",
    ),
    Claim(
        "The second group was missed altogether, but the balls of the three strays are so large that they cover it.",
        "precision",
        "{'recall of the second group': inside_balls(real_points[20:], other_points, k=3).any(dim=1).double().mean()}",
        "value['recall of the second group'] > 0.9",
    ),
    Claim(
        "our samples are nearly as good as test images: their precision is near 1",
        "all-four",
        NEAR,
        "value['samples'][0] > 0.97 and value['test'][3] - 0.06 < value['samples'][3] < value['test'][3]",
    ),
    Claim(
        "Ours have it less often, so there is no sign of copying.",
        "copies",
        "{'nearer': verdict.near.found, 'p': verdict.near.p_value}",
        "value['p'] > 0.05",
    ),
    Claim(
        "More than one sample in a hundred lies beyond the right line",
        "copies",
        "{'farther': verdict.far.found, 'p': verdict.far.p_value}",
        "value['farther'] > 0.015 and value['p'] < 0.05",
    ),
    Claim(
        "More than one in ten of these *test* grids occur among the 109,000 training grids.",
        "copies-grids",
        "repeated.held_out.value",
        "0.1 < value < 0.2",
    ),
    Claim(
        "Ours does so less than half as often, and that is no virtue",
        "copies-grids",
        "{'samples': repeated.generated.value, 'test grids': repeated.held_out.value}",
        "value['samples'] < 0.5 * value['test grids']",
    ),
    Claim(
        "With one copy in every ten images, the p-value for the left line becomes tiny.",
        "planted",
        "{'nearer': planted_verdict.near.found, 'p': planted_verdict.near.p_value}",
        "value['p'] < 0.01",
    ),
    Claim(
        "the usual measures notice the fault only when a fifth of all faces have it, or half, or all, or not even then",
        "damage-table",
        "{fault: min(of_measures[name] for name in names if name not in ('true to the renderer', 'plainly wrong'))"
        f" for fault, of_measures in {SEEN}.items()}}",
        "min(value[fault] for fault in ('one eye of another kind', 'a second background', 'a broken outline')) >= 0.2",
    ),
    Claim(
        "A search for the nearest true face notices the fault when only one face in a hundred has it.",
        "damage-table",
        f"{{fault: of_measures['true to the renderer'] for fault, of_measures in {SEEN}.items()}}",
        "max(value[fault] for fault in ('one eye of another kind', 'a second background', 'a broken outline')) <= 0.01",
    ),
    Claim(
        "Only the search for copies finds them.",
        "damage-table",
        f"{SEEN}['copies of training images']",
        "all((seen <= 1) == (name == 'nearer than held-out') for name, seen in value.items())",
    ),
    Claim(
        "No row is dark throughout.",
        "damage-table",
        f"{{name: sum({SEEN}[fault][name] <= 0.05 for fault in faulty) for name in names}}",
        "max(value.values()) < len(faulty)",
    ),
    Claim(
        "more faces are true, and fewer are plainly wrong",
        "temperature",
        KNOBS,
        "value['T = 0.7'][0] > value['T = 1.0'][0] + 5 and value['T = 0.7'][1] < value['T = 1.0'][1]",
    ),
    Claim(
        "At a lower temperature, fewer faces are faulty, but faces that the prior"
        " finds improbable are drawn less often, too",
        "temperature",
        KNOBS,
        "value['T = 0.7'][1] < value['T = 1.0'][1] and value['T = 0.7'][3] < 0.2 * value['T = 1.0'][3]"
        " and value['T = 0.7'][2] < value['T = 1.0'][2]",
    ),
    Claim(
        "(At T = 1, *more* than one face in ten is costly",
        "temperature",
        KNOBS,
        "value['T = 1.0'][3] > 12",
    ),
    Claim(
        "After a quarter of the training, only a third to a half of the faces are true to the renderer.",
        "rule-count",
        "is_true.float().mean()",
        "0.25 < value < 0.6",
    ),
    Claim(
        "The prior draws the left-out faces nearly as often as the source would: it has learned a rule, not a list.",
        "rule-count",
        "{'share': share.value, 'standard error': share.error}",
        "0.07 < value['share'] < 0.13",
    ),
    Claim(
        "It needs no more nats than 32 entries, and it loses less.",
        "two-look",
        RECIPES,
        "all(mean(value['128, rate weighed'][i]) <= mean(value['32'][i]) for i in (0, 1))",
    ),
    Claim(
        "It loses little more than the other codebook of 128, and costs about half the nats, or fewer.",
        "two-look",
        RECIPES,
        "mean(value['128, rate weighed'][1]) < 1.5 * mean(value['128'][1])"
        " and mean(value['128, rate weighed'][0]) < 0.6 * mean(value['128'][0])",
    ),
    Claim(
        "But between this recipe and the 8 entries there is no winner: one loses less, the other costs less.",
        "two-look",
        RECIPES,
        "max(value['128, rate weighed'][1]) < min(value['8 entries'][1])"
        " and max(value['8 entries'][0]) < min(value['128, rate weighed'][0])",
    ),
]
