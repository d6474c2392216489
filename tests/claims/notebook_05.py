"""What 05 claims."""

from claims import Claim, Training, exact

TRAININGS = {
    "names": Training(("200",)),
    "model": Training(("steps",)),
    "real-train": Training(("steps",)),
}
NATS = "{name: values.mean() for name, values in nats.items()}"
CLAIMS = [
    exact("The chain rule turns the probability of a grid into a product of predictions in reading order.", "table"),
    exact("So the rule is: **only the first layer shifts.**", "find-seen"),
    exact("Gradients show what each position sees, and a grid that is not square reveals more mistakes.", "mixed-up"),
    exact("a stack of masked 3 × 3 convolutions never sees a wedge above and to the right", "blind-count"),
    exact("A vertical and a horizontal stack with a link see everything earlier and nothing else.", "net-count"),
    exact("to find all three mistakes, count both leaks and missed pairs", "mistakes-count"),
    Claim(
        "gives a curve that can only rise all the way or fall all the way, and this curve stays near one half",
        "names",
        "{'least': guesses[0].min(), 'most': guesses[0].max()}",
        "0.3 < value['least'] and value['most'] < 0.7",
    ),
    Claim(
        "The embedding gives every code its own answer.",
        "names",
        "{'answered right': (guesses[1].round() == yes_or_no).float().mean()}",
        "value['answered right'] == 1",
    ),
    exact("**every code is a copy of the one in the row above, two columns to the right**", "toy"),
    Claim(
        "Both masked models stay where they began, at 2.08 nats; three times as many layers change nothing.",
        "positions",
        NATS,
        "all(abs(value[f'masked, {layers} layers'] - random_loss) < 0.05 for layers in (3, 9))",
    ),
    Claim(
        "the masked stacks learned nothing and the two stacks learned everything",
        "positions",
        NATS,
        "value['masked, 9 layers'] > random_loss - 0.05 and value['two stacks, 3 layers'] < best_loss + 0.1",
    ),
    Claim(
        "within the first hundred steps or so; a loss between 0.78 and 0.85 at the end is fine",
        "train",
        "{'after a hundred': toy_losses['two stacks, 3 layers'][99], 'end': toy_losses['two stacks, 3 layers'][-1]}",
        "value['after a hundred'] < 1 and 0.75 < value['end'] < 0.85",
    ),
    Claim(
        "For each code, the masked stack pays an extra half bit or more (0.4 to 1 is fine)",
        "real-look",
        "{**{name: bits.mean() for name, bits in real_bits.items()}, 'more': lost.mean()}",
        "0.4 < value['more'] < 1",
    ),
    Claim(
        "On real codes the blind spot costs half a bit per code, or more.",
        "real-look",
        "{'more': lost.mean(), 'standard error': lost.mean(dim=(1, 2)).std() / len(lost) ** 0.5}",
        "0.4 < value['more'] < 1",
    ),
    Claim(
        "few of them at the edges, where the background continues, and most of them within the face",
        "real-look",
        "{'within': lost.mean(dim=0)[2:6, 2:6].mean(), 'border': torch.cat([lost.mean(dim=0)[[0, 7]].flatten(),"
        " lost.mean(dim=0)[1:7, [0, 7]].flatten()]).mean()}",
        "value['within'] > 2 * value['border']",
    ),
    exact("although it has nearly twice as many weights", "real-look"),
    Claim(
        "Looking at the earlier codes saves more than two bits per code, even with a blind spot.",
        "own-ladder",
        "{name: bits.value for name, bits in noted.items()}",
        "value['unigram per position'] - value['a masked stack'] > 2",
    ),
    Claim(
        "Removing the blind spot saves another half bit, or more.",
        "own-ladder",
        "{name: bits.value for name, bits in noted.items()}",
        "0.4 < value['a masked stack'] - value['two stacks'] < 1",
    ),
]
