"""What 01 claims."""

from claims import Claim, Training, exact

TRAININGS = {
    "train-tools": Training(("steps",)),
    "train": Training(why="its steps are those of train-tools"),
}
CLAIMS = [
    exact("a perfect copy scores 0, and the best single grey scores 1", "variance-check"),
    exact("grey has an error of 1, and so does a noisy face that you can still recognise", "feel"),
    exact(
        "A missing eye has the same error as a slightly darker background, which nobody would call a fault.", "blind"
    ),
    Claim(
        "a thousandth of the numbers already explains more than a third of the variance",
        "smallest",
        "relative_error(flat_test, test_images)",
        "0.58 <= value <= 0.63",
    ),
    Claim(
        "With 16 numbers, PCA has a smaller error than the small picture has with 192.",
        "pca-curve",
        "{'PCA, 16': pca_errors[2], 'picture, 192': min(one[1] for one in errors.values())}",
        "value['PCA, 16'] < value['picture, 192']",
    ),
    exact("directions of length one at right angles to each other satisfy $V V^\\top = 1$", "pca-functions"),
    Claim(
        "The two lines stay together: nothing is memorised.",
        "train-curve",
        "{'training': history[-1]['train_loss'], 'validation': history[-1]['valid_loss']}",
        "value['validation'] < 1.05 * value['training']",
    ),
    Claim(
        "Both are still falling at the end.",
        "train-curve",
        "{'a fifth before the end': history[-4]['valid_loss'], 'end': history[-1]['valid_loss']}",
        "value['end'] < 0.97 * value['a fifth before the end']",
    ),
    Claim(
        "it beats PCA with 32 numbers",
        "compare",
        "{'PCA': relative_error(linear, test_images), 'autoencoder': relative_error(learned, test_images)}",
        "value['autoencoder'] < value['PCA']",
    ),
    Claim(
        "the autoencoder's error is clearly smaller",
        "compare",
        "{'smaller by': 1 - relative_error(learned, test_images) / relative_error(linear, test_images)}",
        "value['smaller by'] > 0.1",
    ),
    Claim(
        "From 160 bits on (32 levels), both curves are nearly flat",
        "round-curve",
        "{name: of_levels[counts.index(32)] / of_levels[-1] for name, of_levels in errors_of.items()}",
        "all(ratio < 1.05 for ratio in value.values())",
    ),
    Claim(
        "Rounded to 32 levels, the latents take 160 bits instead of 1,024, and the error grows by a few per cent.",
        "round-curve",
        "{'rounded': errors_of['autoencoder'][counts.index(32)], 'as they are': relative_error(learned, test_images)}",
        "value['rounded'] < 1.1 * value['as they are']",
    ),
    Claim(
        "For the same number of bits, the autoencoder always loses less than PCA.",
        "round-curve",
        "[ours / pca for ours, pca in zip(*errors_of.values())]",
        "max(value) < 1",
    ),
    Claim(
        "it loses less than a tenth as much",
        "round-curve",
        "{'times': errors_of['autoencoder'][-1] / vqvae_error}",
        "value['times'] > 10",
    ),
    Claim(
        "round things with dark spots on a blotchy background, with hardly a clean smiley among them",
        "shuffle",
        "{'plainly wrong, normal': far_off(from_normal), 'real values': far_off(from_shuffled)}",
        "min(value.values()) > 0.8",
    ),
    Claim(
        "With one hill, half of the pictures or more are far from any face that exists",
        "hundred",
        "{name: far_off(pictures) for name, pictures in by_hills.items()}",
        "value['one hill'] > 0.45",
    ),
    Claim(
        "with a hundred hills, only one in ten is. (Between 5 and 20 % is fine.)",
        "hundred",
        "{name: far_off(pictures) for name, pictures in by_hills.items()}",
        "0.05 <= value['a hundred'] <= 0.2",
    ),
    Claim(
        "Those drawn from one hill fall between images; of those drawn from a hundred hills, most decode to faces",
        "hundred",
        "{name: far_off(pictures) for name, pictures in by_hills.items()}",
        "value['a hundred'] < 0.5 * value['one hill'] and value['a hundred'] < 0.25",
    ),
    exact('A table over finitely many values needs no hills: it can say "either … or".', "corner-table"),
]
