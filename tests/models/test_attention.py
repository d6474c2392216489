"""Attention to the rows above, against a loop over positions."""

import torch
from torch import Tensor, nn

from lpvq.models.attention import AttentionToRowsAbove, rows_above
from lpvq.models.contexts import position_features


def a_layer(channels: int = 8) -> AttentionToRowsAbove:
    torch.manual_seed(0)
    layer = AttentionToRowsAbove(channels).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def some_features(batch: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    h, v, embedded = torch.randn(3, batch, 8, height, width, dtype=torch.float64)
    return h, v, embedded, position_features(height, width, h), rows_above(height, width, h)


def test_it_is_what_the_formula_says_position_by_position() -> None:
    layer, (height, width) = a_layer(), (3, 4)
    h, v, embedded, places, bias = some_features(1, height, width)
    found = layer(h, v, embedded, places, bias)
    nothing_key, nothing_value = layer.nothing.chunk(2)
    for row in range(height):
        for column in range(width):
            here = h[0, :, row, column], places[0, :, row, column]
            query = layer.query(layer.norm(here[0])) + layer.query_place(here[1])  # (C,)
            keys, values = [nothing_key], [nothing_value]
            for above in range(row):
                for other in range(width):
                    both = layer.key_value(torch.cat([v[0, :, above, other], embedded[0, :, above, other]]))
                    both = both + layer.key_value_place(places[0, :, above, other])
                    keys.append(both[:8])
                    values.append(both[8:])
            answer = []
            for head in range(4):
                part = slice(2 * head, 2 * head + 2)
                scores = torch.stack([key[part] @ query[part] for key in keys]) / 2**0.5
                answer.append((scores.softmax(0)[:, None] * torch.stack([value[part] for value in values])).sum(0))
            expected = here[0] + layer.output(torch.cat(answer))
            torch.testing.assert_close(found[0, :, row, column], expected, atol=1e-12, rtol=0)


def test_a_fresh_layer_adds_nothing() -> None:
    h, v, embedded, places, bias = some_features(2, 3, 4)
    assert torch.equal(AttentionToRowsAbove(8).double()(h, v, embedded, places, bias), h)


def test_where_it_may_look_is_nothing_and_the_rows_above() -> None:
    seen = rows_above(2, 3, torch.zeros(1)) == 0
    assert seen.tolist() == [[True] + [False] * 6] * 3 + [[True] * 4 + [False] * 3] * 3


def test_channels_that_four_heads_cannot_share_have_fewer() -> None:
    assert [AttentionToRowsAbove(channels).heads for channels in (1, 6, 8)] == [1, 2, 4]
