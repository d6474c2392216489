"""What 00 claims. Its models come with the course, so only what is drawn depends on a seed."""

from claims import Claim, Training, exact

TRAININGS: dict[str, Training] = {}
CLAIMS = [
    Claim(
        "They follow the rules, and each has the mouth you asked for.",
        "models",
        "{'right mouth': right_mouths(new_images, labels), 'plainly wrong': far_off(new_images)}",
        "value['right mouth'] == 1 and value['plainly wrong'] == 0",
    ),
    exact("Each code stands for 4 × 4 pixels, so 32 × 32 pixels give 8 × 8 codes.", "shapes"),
    exact("It looks up the code's entry in the codebook, puts it in the code's place", "inside"),
    Claim(
        "six codes share nearly all the probability, about one sixth each",
        "first-code",
        "probabilities.sort(descending=True).values[:7]",
        "value[:6].sum() > 0.95 and value[:6].max() < 0.25 and value[:6].min() > 0.1",
    ),
    Claim(
        "random codes give patches but no picture",
        "why",
        "{'plainly wrong': far_off(vqvae.decode(random_codes))}",
        "value['plainly wrong'] == 1",
    ),
    Claim("a prior needs about half a bit per code, whereas you need 8", "bits", "bits.mean()", "0.3 < value < 0.6"),
]
