import numpy as np
import pytest
import torch

from antibody_esm.plm.pooling import gather, groups, pool, pool_groups

STATES = torch.arange(2 * 5 * 3, dtype=torch.float32).reshape(2, 5, 3).square()


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", STATES.mean(1)),
        ("max", STATES[:, 4]),
        ("std", STATES.std(1, correction=0)),
        ("cls", STATES[:, 0]),
    ],
)
def test_pooling_is_what_its_name_says(pooling: str, expected: torch.Tensor) -> None:
    assert torch.allclose(pool(STATES, pooling), expected)  # type: ignore[arg-type]


def test_one_token_has_no_deviation() -> None:
    assert torch.equal(pool(STATES[:, :1], "std"), torch.zeros(2, 3))


@pytest.mark.parametrize("pooling", ["mean", "max", "std"])
def test_groups_give_every_row_its_own_tokens(pooling: str) -> None:
    generator = np.random.default_rng(0)
    states = torch.from_numpy(generator.standard_normal((6, 9, 4)).astype(np.float32))
    residues = [np.array(one) for one in ([0, 2], [1], [5, 6, 7], [3, 4], [7], [2, 3])]
    grouped = groups([places + 1 for places in residues])
    assert sorted(len(group.rows) for group in grouped) == [2, 2, 3], "a group of one is there twice"
    rows = pool_groups(gather(states, grouped), pooling, 6)  # type: ignore[arg-type]
    for row, places, state in zip(rows, residues, states, strict=True):
        assert torch.allclose(row, pool(state[None, places + 1], pooling)[0])  # type: ignore[arg-type]
