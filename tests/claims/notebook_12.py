"""What 12 claims. The shipped weights are the same in all runs; yours are those of the workspace."""

from claims import Claim, Training, exact

TRAININGS = {"leak": Training(("120",))}
CAME_BACK = "{name: same(back, codes) for name, back in tries.items()}"
CLAIMS = [
    exact("a message of probability $p$ takes less than $-\\log_2 p + 1$ bits", "read"),
    exact("it gave back every symbol", "coder-check"),
    exact("unpacked them with a cache, code by code", "first-files"),
    Claim(
        "no file is more than one bit longer than promised",
        "sizes",
        "(lengths - promised).max()",
        "value <= 1",
    ),
    Claim(
        "The promise is kept to the byte.",
        "together",
        "[len(together) / 8, promised.sum() / 8]",
        "abs(value[0] - value[1]) < 1",
    ),
    Claim(
        "that ruins most of the faces. In the single file it ruins all of them.",
        "almost",
        CAME_BACK,
        "value['cache, then cache'] == 96 and value['forward pass, then cache, 96 files'] < 72"
        " and value['forward pass, then cache, one file'] < 10",
    ),
    Claim(
        "Rounding makes the fault rarer but does not remove it.",
        "rounded",
        "[same(back, codes), int(unequal)]",
        "value[0] < 96 and value[1] > 0",
    ),
    exact("A float32 has 24 binary digits.", "orders"),
    exact("gives the writer and the reader the same probabilities, to the last digit", "convert"),
    exact("whole numbers brought every grid back", "exact"),
    exact("the same random numbers give the same codes, with the cache or without it", "draws"),
    Claim(
        "The coarser probabilities cost less than one part in a hundred.",
        "price",
        "[nats.mean(), whole_nats.mean()]",
        "value[1] < 1.01 * value[0]",
    ),
    Claim(
        "the network beats the prior by a wide margin",
        "leak",
        "[leaky_nats, nats.mean()]",
        "value[0] < value[1] / 4",
    ),
    Claim(
        "The files are tiny, and no grid comes back.",
        "leak-files",
        "[mean_length, same(back, codes)]",
        "value[0] < 8 and value[1] == 0",
    ),
    Claim(
        "The prior reaches the same error with roughly a hundredth of the bytes.",
        "bytes",
        "[together[kind] / together['the prior'] for kind in ('AVIF', 'JPEG')]",
        "value[0] > 50 and value[1] > 100",
    ),
    Claim(
        "does not get down to our error at any quality",
        "sizes-of-formats",
        "[error, ours, 'WebP' in together]",
        "value[0] > value[1] and not value[2]",
    ),
    Claim(
        "A mirrored face is nearly a face like any other, and costs a byte or two more",
        "strange",
        "{name: cost.value for name, cost in costs.items()}",
        "value['as they are'] + 0.5 < value['mirrored'] < value['as they are'] + 2.5",
    ),
    Claim(
        "Faces in other colours and faces upside down cost more than ten times as much",
        "strange",
        "{name: cost.value for name, cost in costs.items()}",
        "min(value['colours exchanged'], value['upside down']) > 10 * value['as they are']",
    ),
    Claim(
        "counting the codes at each place separately saves only about a sixth",
        "ladder",
        "ladders['your codes']",
        "0.75 < value['frequencies by place'] / value['frequencies only'] < 0.95",
    ),
    Claim(
        "After a tenth of its training, your prior needs only about a fifth of the bits that are left, and the rest"
        " of its training cuts them by another two fifths.",
        "ladder",
        "ladders['your codes']",
        "0.15 < value['prior, a tenth trained'] / value['frequencies by place'] < 0.3"
        " and 0.5 < value['prior'] / value['prior, a tenth trained'] < 0.7",
    ),
    Claim(
        "about a tenth of what the frequencies alone need, and still a third to a half more than its floor",
        "ladder",
        "ladders['your codes']",
        "value['prior'] < 0.15 * value['frequencies only'] and 1.2 < value['prior'] / value['floor'] < 1.7",
    ),
    Claim(
        "The shipped prior comes within a sixth of its own floor.",
        "ladder",
        "ladders['shipped']",
        "value['prior'] < 1.17 * value['floor']",
    ),
    Claim(
        "the pictures of the shipped models have less than half the error (in this profile, a quarter of it), in"
        " about as many bytes",
        "ladder",
        "{'yours': [own_error, ladders['your codes']['prior']], 'shipped': [ours, ladders['shipped']['prior']]}",
        "value['shipped'][0] < 0.5 * value['yours'][0] and value['shipped'][1] < 1.1 * value['yours'][1]",
    ),
]
