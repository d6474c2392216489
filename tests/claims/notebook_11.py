"""What 11 claims. The shipped weights at its end are the same in all runs."""

from claims import BY_TRAINER, Claim, exact

TRAININGS = {"train-plain": BY_TRAINER}
ABOVE_THE_REAL = (
    "{name: [drawn - real for drawn, real in zip(curve[:6], beginnings['real images'])]"
    " for name, curve in beginnings.items() if name != 'real images'}"
)
WRONG = "{name: shares['plainly wrong'] for name, shares in counts.items()}"
CLAIMS = [
    exact("You described an image with two grids", "codes-shapes"),
    Claim(
        "about half of the faces are plainly wrong (30 to 70 % is fine), and hardly any are true",
        "count",
        "counts['one level']",
        "0.3 <= value['plainly wrong'] <= 0.7 and value['true to the renderer'] < 0.05",
    ),
    Claim(
        "The curves say no: in the first four rows, the prior's curve does not rise clearly above the real one.",
        "empty",
        ABOVE_THE_REAL,
        "max(value['one level'][:4]) < 0.08",
    ),
    Claim(
        "made a guess about the cause, and rejected it with a curve",
        "look-position",
        ABOVE_THE_REAL,
        "all(max(off[:4]) < 0.08 for off in value.values())",
    ),
    Claim(
        "more than a quarter of the faces are still plainly wrong",
        "look-position",
        WRONG,
        "value['position'] > 0.25",
    ),
    Claim(
        "That may be fewer than before",
        "look-position",
        WRONG,
        "0 < value['one level'] - value['position'] < 0.2",
    ),
    Claim("position is not what this prior lacks most", "look-position", WRONG, "value['position'] > 0.2"),
    exact("You wrote the module that tells the fine prior what the coarse grid decodes to", "features-check"),
    Claim(
        "They keep the colours, the place, the size, the eyes and the mouth of the sketch",
        "draw-coarse",
        "{name: (find_nearest_faces(coarse_vqvae.decode(sketches).cpu()).factors[name]"
        " == find_nearest_faces(by_levels).factors[name]).float().mean()"
        " for name in ('background', 'skin', 'size', 'eyes', 'mouth')}",
        "min(value.values()) > 0.9",
    ),
    Claim(
        "plainly wrong faces are several times rarer",
        "count-all",
        WRONG,
        "value['one level'] / max(value['two levels'], 1e-3) >= 3",
    ),
    Claim(
        "trained a prior with it, and counted the faults again",
        "count-all",
        WRONG,
        "value['two levels'] < 0.4 * min(value['one level'], value['position'])",
    ),
    Claim(
        "Some of the remaining faults come from the sketches, of which about one in thirty is itself wrong.",
        "count-all",
        "far_off(coarse_vqvae.decode(sketches))",
        "0.015 < value < 0.055",
    ),
    Claim(
        "Two levels need more nats than one, although their faces are so much better.",
        "nats-table",
        "{'one level': grid_nll(plain, bare).mean(), 'position': grid_nll(with_position, bare).mean(),"
        " 'two levels': coarse_nats + fine_nats}",
        "value['two levels'] > max(value['one level'], value['position'])",
    ),
    Claim(
        "You see the same face six times, and yet about one fine code in ten differs.",
        "anew",
        "(fine_anew[0] != fine_anew[1]).float().mean()",
        "0.04 < value < 0.2",
    ),
    Claim(
        "If their backgrounds differ, two faces have few codes in common; if not, they share about half.",
        "reverse",
        "[{'differ': (others[a] != others[b]).float().mean(), 'one background': sketches[a][0, 0] == sketches[b][0, 0]}"
        " for a, b in ((0, 1), (0, 2), (1, 2))]",
        "all(0.2 < two['differ'] < 0.8 if two['one background'] else two['differ'] > 0.8 for two in value)",
    ),
    Claim(
        "Background, skin, size, eyes and mouth stay the same in nearly all faces.",
        "kept",
        "{name: kept[name].value for name in ('background', 'skin', 'size', 'eyes', 'mouth')}",
        "min(value.values()) > 0.9",
    ),
    Claim(
        "the sketch holds the face, and the fine codes say exactly where its edges run",
        "kept",
        "{name: kept[name].value for name in FACTORS}",
        "min(value.values()) > 0.8",
    ),
]
