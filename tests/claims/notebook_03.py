"""What 03 claims."""

from claims import BY_TRAINER, Claim, Training, exact

TRAININGS = {
    "loss": Training(why="the cells that call it say how long"),
    "loop": Training(("steps",)),
    "few-codes": BY_TRAINER,
}
COST = (
    "{'taken off': 1 - errors_of['quantizer taken out'] / errors_of['your model'],"
    " 'trained without': 1 - errors_of['trained on without'] / errors_of['trained on with it']}"
)
CLAIMS = [
    exact("multiply each by the same weights", "halving"),
    exact("With zeros, the same background has one value in the middle, another at the edges", "border"),
    exact("You measured that a code sees 10 × 10 pixels and can affect 50 × 50", "decides-check"),
    exact("A code stands for 4 × 4 pixels and sees 10 × 10", "sees"),
    exact("Is this the same model as the package's?", "same-model"),
    exact("the gradient of the error with respect to $z$ is the gradient with respect to $e$", "straight"),
    Claim(
        "at a loss of about 0.1 (below 0.14 is fine)",
        "loop",
        "mean(losses[-20:])",
        "value < 0.14",
    ),
    Claim(
        "You trained a model of your own until its faces smiled",
        "loop-images",
        "{'reconstructions with the right mouth': right_mouths("
        "my_vqvae.decode(my_vqvae.encode(test.floats(slice(0, 300)).to(workspace.device))), test.labels[:300])}",
        "value['reconstructions with the right mouth'] > 0.8",
    ),
    Claim(
        "most of the gain comes in the first fifth",
        "curve",
        "{'gain by then': (1 - history[len(history) // 5 - 1]['valid_loss']) / (1 - history[-1]['valid_loss'])}",
        "value['gain by then'] > 0.5",
    ),
    Claim(
        "the validation error does not turn upwards towards the end",
        "curve",
        "{'end': history[-1]['valid_loss'], 'least': min(record['valid_loss'] for record in history)}",
        "value['end'] < 1.02 * value['least']",
    ),
    Claim(
        "the validation error lies a little below the training loss",
        "curve",
        "{'training': history[-1]['train_loss'], 'validation': history[-1]['valid_loss']}",
        "value['validation'] < value['training']",
    ),
    Claim(
        "In the `laptop` profile, the validation error ends near 0.02 (below 0.025 is fine)",
        "curve",
        "history[-1]['valid_loss']",
        "value < 0.025",
    ),
    Claim(
        "it loses one or two per cent of the variance, along edges",
        "judge",
        "errors.mean()",
        "0.005 < value < 0.025",
    ),
    Claim(
        "it uses more than half of the codes, a few of them very often",
        "growth",
        "{'in use': number, 'perplexity': perplexity(counts)}",
        "value['in use'] > 0.5 * 256 and 13 <= value['perplexity'] <= 25",
    ),
    Claim(
        "The six most frequent codes, one for each of the six backgrounds, make up two thirds",
        "growth",
        "largest_six",
        "0.6 < value < 0.75",
    ),
    Claim(
        "in a trained model it mostly affects its surroundings",
        "swap",
        "{'within 12 × 12': around}",
        "value['within 12 × 12'] > 0.7",
    ),
    Claim(
        "Not quite half of the change falls on the code's own 16 pixels, and about four fifths within 12 × 12",
        "swap",
        "{'own': own, 'within 12 × 12': around}",
        "0.35 < value['own'] < 0.5 and 0.72 < value['within 12 × 12'] < 0.9",
    ),
    Claim(
        "You saw what four codes cannot keep.",
        "few-codes",
        "{number: ((decoded - some_images).square().mean() / train_variance).item()"
        " for number, decoded in zip(('4', '32'), attempts)}",
        "value['4'] > 3 * value['32']",
    ),
    Claim(
        "With 32 codes nearly everything is back: the error is 0.05 or less",
        "few-codes",
        "error",
        "value < 0.05",
    ),
    Claim(
        "If you simply take the quantizer out, it seems to account for about a tenth of the error.",
        "cost",
        COST,
        "0.05 < value['taken off'] < 0.15",
    ),
    Claim(
        "loses about a quarter less than the copy that kept it (10 to 40 % is fine)",
        "cost",
        COST,
        "0.1 < value['trained without'] < 0.4",
    ),
    Claim(
        "about a quarter of the error here, about twice what you see if you simply take it out",
        "cost",
        COST,
        "0.15 < value['trained without'] < 0.35 and value['trained without'] > 1.5 * value['taken off']",
    ),
]
