import pytest
import torch

from antibody_esm.plm.pooling import pool

STATES = torch.arange(2 * 5 * 3, dtype=torch.float32).reshape(2, 5, 3)


@pytest.mark.parametrize(
    ("pooling", "prefix", "suffix", "expected"),
    [
        ("mean", 1, 1, STATES[:, 1:4].mean(1)),
        ("mean", 0, 0, STATES.mean(1)),
        ("mean", 0, 1, STATES[:, :4].mean(1)),
        ("max", 1, 1, STATES[:, 3]),
        ("max", 0, 0, STATES[:, 4]),
        ("cls", 1, 1, STATES[:, 0]),
    ],
)
def test_pooling_takes_the_tokens_it_should(pooling: str, prefix: int, suffix: int, expected: torch.Tensor) -> None:
    assert torch.equal(pool(STATES, pooling, prefix, suffix), expected)  # type: ignore[arg-type]


def test_half_precision_is_pooled_in_single() -> None:
    states = torch.full((2, 1000, 1), 100.0, dtype=torch.float16)
    pooled = pool(states, "mean", 0, 0)
    assert pooled.dtype == torch.float32
    assert torch.equal(pooled, torch.full((2, 1), 100.0))
