"""What 13 claims. Processes are compared bit for bit; what they train is small, and hardly a matter of chance."""

from claims import Claim, Training, exact, time

TRAININGS = {"train": Training(("steps",)), "learn": Training(("steps",)), "package": Training(("30",))}
CLAIMS = [
    exact("The two processes agree with each other, and *nearly* with the one that works alone.", "first-gradient"),
    exact("The two processes have exactly the same weights", "nearly"),
    Claim(
        "after a hundred steps these weights still differ only a little from those of the process that worked alone",
        "nearly",
        "[apart[0], apart[-1], alone[-1].abs().max()]",
        "0 < value[0] < 1e-5 and value[1] < 0.01 * value[2]",
    ),
    exact("one process ended with the same bits as two", "exact-run"),
    exact("the two codebooks are not just nearly the same, they are the same", "cure"),
    Claim(
        "Without restarts they do so slowly, but about two patches in five still end up with different codes.",
        "drift",
        "curves['each by itself, without restarts'][1][-1]",
        "0.3 < value < 0.5",
    ),
    Claim(
        "With restarts the drift is far worse.",
        "drift",
        "[curves[name][1][-1] for name in ('each by itself', 'each by itself, without restarts')]",
        "value[0] > 0.3 and value[0] > 1.6 * value[1]",
    ),
    Claim(
        "With its own entries each process does well",
        "mixed",
        "{name: both[0] for name, both in errors.items()}",
        "value['each by itself'] < 1.2 * value['together']",
    ),
    Claim(
        "With the other's entries, a jumble comes back",
        "mixed",
        "errors['each by itself']",
        "value[1] > 1 and value[1] > 4 * value[0]",
    ),
    Claim(
        "Without restarts the faces come out as they do with `together`, except for a patch here and there.",
        "mixed",
        "[errors[name][1] for name in ('each by itself, without restarts', 'together')]",
        "value[1] < value[0] < 2 * value[1]",
    ),
    exact("To the last bit, this is the codebook that process 0 learned when it was by itself.", "first"),
    exact("After three hundred steps, restarts included, not one bit is different.", "exactly"),
    time(
        "a small batch is faster with one process, and a large one is faster when it is shared",
        "steps",
        "[alone[0] / shared[0], alone[-1] / shared[-1]]",
        "value[0] < 1 < value[1]",
    ),
    exact("Call these functions in several processes, and those processes train one model together.", "package"),
]
