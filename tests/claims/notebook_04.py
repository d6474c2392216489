"""What 04 claims."""

from claims import Claim, Training, exact

TRAININGS: dict[str, Training] = {}
CLAIMS = [
    exact("the codes of all images, in batches and in eval mode", "extract-check"),
    Claim("A few batches are enough to change some codes.", "mode", "changed", "value > 0"),
    exact("299 comes back as 43: after 255, counting starts again at 0.", "wrap"),
    exact("you stored codes in the smallest type that can hold $K$ different codes", "save"),
    exact("with the checksum of the only model that can decode them", "checksum"),
    Claim(
        "With its own codes, the twin is exactly as good as our model. With our codes it paints rubbish.",
        "twin",
        "{'its own': (same_images_by_twin - own).abs().max(),"
        " 'error with ours': (mixed_up - own).square().mean() / own.var()}",
        "value['its own'] < 1e-4 and value['error with ours'] > 0.5",
    ),
    Claim(
        "The six most frequent codes are the backgrounds, at about 10 % each",
        "counts",
        "{'share of the sixth': (counts / counts.sum()).sort(descending=True).values[5], 'in the corners':"
        " torch.isin(train.codes[:, [0, 0, 7, 7], [0, 7, 0, 7]], counts.topk(6).indices).double().mean()}",
        "value['share of the sixth'] > 0.08 and value['in the corners'] > 0.99",
    ),
    Claim(
        "More than half of the codes are in use, but most of them are rare.", "batch", "usage(counts)", "value > 0.5"
    ),
    Claim(
        "The unigram entropy is about 4 bits instead of 8, and the perplexity is between 15 and 20 instead of 256",
        "entropy",
        "{'bits': unigram_bits, 'perplexity': 2**unigram_bits}",
        "3.9 < value['bits'] < 4.4 and 15 < value['perplexity'] < 20",
    ),
    Claim(
        "at $\\lambda = 0.5$ a code of your model costs about one bit less than at $\\lambda = 0$, and the error is "
        "nearly the same",
        "rate-try",
        "{'bits saved': rate_bits[0] - rate_bits[2], 'error, times': rate_errors[2] / rate_errors[0]}",
        "0.7 < value['bits saved'] < 1.5 and value['error, times'] < 1.03",
    ),
    Claim(
        "At $\\lambda = 1$ we save one and a half to two bits, for at most a tenth more error.",
        "rate-try",
        "{'bits saved': rate_bits[0] - rate_bits[3], 'error, times': rate_errors[3] / rate_errors[0]}",
        "1.3 < value['bits saved'] < 2.2 and value['error, times'] < 1.1",
    ),
    Claim(
        "In the corners the entropy is 2.58 bits, which is $\\log_2 6$",
        "places",
        "position_bits[0, 0]",
        "abs(value - 2.58) < 0.03",
    ),
    Claim(
        "Knowing the place saves more than half a bit.",
        "places",
        "unigram_bits - position_bits.mean()",
        "value > 0.5",
    ),
    Claim(
        "Neighbours share about 1.7 bits",
        "pairs",
        "shared_bits(left, right)",
        "1.4 < value < 2",
    ),
    Claim(
        "With 20 grids, codes that have nothing in common seem to share two thirds of a bit.",
        "bias",
        "dict(zip(map(str, numbers), by_chance))",
        "0.5 < value['20'] < 0.85",
    ),
    Claim(
        "With 1,000 grids a tenth of a bit is left, and with 20,000 grids next to nothing.",
        "bias",
        "dict(zip(map(str, numbers), by_chance))",
        "0.05 < value.get('1000', 0) < 0.15 and value.get('20000', 1) < 0.03",
    ),
    exact("Do not believe a figure for mutual information that comes without its shuffled twin.", "bias-check"),
    Claim(
        "Codes three or four steps apart along a row or a column share about one bit; codes three or four steps "
        "apart in both directions share about half a bit",
        "offsets",
        "{'along': [reach[0, 3], reach[0, 4], reach[3, 0], reach[4, 0]], 'both': [reach[3, 3], reach[4, 4]]}",
        "all(0.7 < shared < 1.3 for shared in value['along']) and all(0.3 < shared < 0.7 for shared in value['both'])",
    ),
    Claim(
        "opposite corners, a whole grid apart, even more",
        "offsets",
        "{'opposite corners': reach[7, 7]}",
        "value['opposite corners'] > 2.3",
    ),
    Claim(
        "A handful of codes among 640,000 (in the `laptop` profile) make the mean infinite",
        "zero",
        "(probability == 0).sum()",
        "0 < value < 50",
    ),
    Claim(
        "Codes that are drawn independently, or given one neighbour only, decode to patches",
        "chain",
        "{'plainly wrong, by place': far_off(rows[2]), 'by left neighbour': far_off(vqvae.decode(chain.to(device)))}",
        "min(value.values()) >= 0.75",
    ),
    Claim(
        "by left neighbour) need 8, 4.2, 3.5 and 2.6 bits per code",
        "chain-bits",
        "ladder",
        "list(value.values()) == sorted(value.values(), reverse=True)"
        " and abs(value['unigram'] - 4.2) < 0.4 and abs(value['unigram per position'] - 3.5) < 0.3"
        " and 2.4 <= value['left neighbour'] <= 2.9",
    ),
    Claim(
        "The other two models need nearly 7 and about 5.6 bits, much more than for the package's codes.",
        "own-ladder",
        "{name: bits.mean() for name, bits in rungs.items()}",
        "6.5 < value['unigram'] < 7.1 and 5.3 < value['unigram per position'] < 5.9",
    ),
    Claim(
        "so it uses nearly all of its entries, and fairly evenly",
        "own-ladder",
        "{'in use': usage(my_counts), 'perplexity': 2 ** (entropy(my_counts) / log(2))}",
        "value['in use'] > 0.9 and value['perplexity'] > 64",
    ),
]
