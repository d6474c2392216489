"""What 10 claims. Its waiting room, which is an exercise, is the same in all runs."""

from claims import BY_TRAINER, Claim, exact

TRAININGS = {"vqvae": BY_TRAINER, "prior": BY_TRAINER}
CLAIMS = [
    Claim(
        "Nearly all faces have the right mouth, and no more than a third are plainly wrong.",
        "healthy-sheet",
        "{name: sheets['healthy'][name] for name in ('right class (%)', 'plainly wrong (%)')}",
        "value['right class (%)'] > 90 and value['plainly wrong (%)'] < 36",
    ),
    Claim(
        "The prior needs somewhat less than one bit per code, and a few hundredths of a bit less",
        "healthy-sheet",
        "{name: sheets['healthy'][name] for name in ('bits per code', 'gap to training')}",
        "0.7 < value['bits per code'] < 1 and 0.01 < value['gap to training'] < 0.1",
    ),
    Claim(
        "A label saves 1.58 bits per picture, which is $\\log_2 3$",
        "healthy-sheet",
        "sheets['healthy']['a label saves']",
        "abs(value - 1.585) < 0.03",
    ),
    Claim(
        "hardly any unseen grids also occur in training",
        "healthy-sheet",
        "sheets['healthy']['seen before (%)']",
        "value < 3",
    ),
    Claim(
        "If pictures are not centred, a code's place tells you little, whichever prior you use.",
        "one-sheet",
        "{name: sheet['the place tells'] for name, sheet in sheets.items()}",
        "value['patient one'] < 0.25 and value['healthy'] > 0.4",
    ),
    Claim(
        "*The place tells* 0.14 bits, not half a bit",
        "one-sheet",
        "sheets['patient one']['the place tells']",
        "0.12 < value < 0.16",
    ),
    exact("that was found by counting codes: **the prior has no part in it.**", "one-map"),
    Claim(
        "most *test pictures* are plainly wrong",
        "one-pictures",
        "wrong",
        "value > 0.5",
    ),
    Claim(
        "All ten lines are back where they are on the healthy sheet",
        "one-treat",
        "{name: [sheets[which][name] for which in ('healthy', 'one, treated')] for name in sheets['healthy']}",
        "abs(value['the place tells'][0] - value['the place tells'][1]) < 0.05"
        " and abs(value['bits per code'][0] - value['bits per code'][1]) < 0.1"
        " and abs(value['a label saves'][0] - value['a label saves'][1]) < 0.05"
        " and abs(value['plainly wrong (%)'][0] - value['plainly wrong (%)'][1]) < 12",
    ),
    Claim(
        "If labels are shuffled, a label saves less than nothing.",
        "two-sheet",
        "{'a label saves': sheets['patient two']['a label saves'],"
        " 'right class (%)': sheets['patient two']['right class (%)']}",
        "value['a label saves'] < 0 and 22 < value['right class (%)'] < 45",
    ),
    exact("From the third file on, each picture has the label of another picture.", "two-folder"),
    Claim(
        "A label saves 1.58 bits again, and nearly all mouths are the ones asked for.",
        "two-treat",
        "{name: sheets['two, treated'][name] for name in ('a label saves', 'right class (%)')}",
        "abs(value['a label saves'] - 1.585) < 0.03 and value['right class (%)'] > 90",
    ),
    Claim(
        "A leak shows in fewer bits, worse drawings, and a gradient from later codes.",
        "three",
        "{name: [sheets[which][name] for which in ('healthy', 'patient three')]"
        " for name in ('bits per code', 'plainly wrong (%)')}",
        "value['bits per code'][1] < value['bits per code'][0] - 0.03"
        " and value['plainly wrong (%)'][1] > value['plainly wrong (%)'][0] + 10",
    ),
    Claim(
        "the bits per code fell by more than a tenth",
        "three",
        "{'fell by': 1 - sheets['patient three']['bits per code'] / sheets['healthy']['bits per code']}",
        "value['fell by'] > 0.1",
    ),
    Claim(
        "And yet about half the faces are plainly wrong.",
        "three",
        "sheets['patient three']['plainly wrong (%)']",
        "35 < value < 65",
    ),
    exact(
        "In the other map there are crosses on all later codes, and on the very code that is to be predicted.",
        "influence",
    ),
    Claim(
        "The bits per code have gone *up*, to what an honest prior needs",
        "three-after",
        "{which: sheets[which]['bits per code'] for which in ('healthy', 'patient three', 'three, treated')}",
        "value['three, treated'] > value['patient three'] and abs(value['three, treated'] - value['healthy']) < 0.07",
    ),
    Claim(
        "The drawn faces are about as good as those of the healthy prior.",
        "three-after",
        "{which: sheets[which]['plainly wrong (%)'] for which in ('healthy', 'patient three', 'three, treated')}",
        "value['three, treated'] < value['healthy'] + 8",
    ),
    Claim(
        "Then they part: from there on the prior memorises these grids instead of learning about letters.",
        "prior",
        "{'training': history[-1]['train_loss'], 'validation': history[-1]['valid_loss']}",
        "value['validation'] > value['training'] + 0.1",
    ),
    Claim(
        "Of the 7 bits per code, frequency and place explain two or three; the prior explains all but about 1.3.",
        "card",
        "bits",
        "2 <= value['uniform'] - value['unigram per position'] < 3.5 and 1.1 < value['prior'] < 1.5",
    ),
    Claim(
        "That gap of a third of a bit, several times the gap in the clinic, is what ails this model",
        "card",
        "{'letters': found['gap to training'], 'clinic': sheets['healthy']['gap to training']}",
        "0.25 < value['letters'] < 0.45 and value['letters'] > 3 * value['clinic']",
    ),
    Claim(
        "none was nearer to a training picture than the nearest 1 % of the unseen letters. But too many",
        "card",
        "{'nearer': near, 'farther': far}",
        "value['nearer'] <= 0.01 and value['farther'] > 0.02",
    ),
    exact("The file of codes holds a checksum of the VQ-VAE that made these codes.", "keep"),
]
