"""The split law: three parts, disjoint, covering all rows, by the published protocol."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rmatch._errors import DataError, OptionError
from rmatch.datasets import Split, split, split_by_site

ROWS = st.integers(min_value=10, max_value=400)
SEEDS = st.integers(min_value=0, max_value=2**31 - 1)


def covers(parts: Split, n: int) -> bool:
    return torch.equal(torch.cat(parts).sort().values, torch.arange(n))


@given(n=ROWS, seed=SEEDS)
def test_the_parts_are_disjoint_and_cover_all_rows(n: int, seed: int) -> None:
    parts = split(n, seed)
    assert covers(parts, n)
    assert [len(part) for part in parts] == [n - 2 * (n // 10), n // 10, n // 10]
    assert all(part.dtype == torch.int64 for part in parts)


def test_the_parts_are_consecutive_pieces_of_the_seeded_permutation() -> None:
    order = torch.randperm(6120, generator=torch.Generator().manual_seed(3))
    parts = split(6120, 3)
    assert torch.equal(parts.train, order[:4896])
    assert torch.equal(parts.validation, order[4896:5508])
    assert torch.equal(parts.test, order[5508:])


def test_the_split_depends_on_the_seed_only() -> None:
    torch.manual_seed(5)
    first = split(100, 1)
    torch.manual_seed(6)
    assert torch.equal(first.train, split(100, 1).train)
    assert not torch.equal(first.train, split(100, 2).train)


@given(sites=st.lists(st.integers(0, 30), min_size=10, max_size=300), seed=SEEDS)
def test_a_split_by_site_keeps_copies_together(sites: list[int], seed: int) -> None:
    points = torch.tensor(sites, dtype=torch.float64)[:, None] * torch.tensor([1.0, -0.5])
    if len(set(sites)) < 3:
        with pytest.raises(DataError, match=f"only {len(set(sites))} different points"):
            split_by_site(points, seed)
        return
    parts = split_by_site(points, seed)
    assert covers(parts, len(sites))
    seen = [{sites[int(row)] for row in part} for part in parts]
    assert all(seen)
    assert seen[0].isdisjoint(seen[1])
    assert seen[1].isdisjoint(seen[2])
    assert seen[0].isdisjoint(seen[2])


@given(n=ROWS, seed=SEEDS)
def test_without_copies_a_split_by_site_is_the_plain_split(n: int, seed: int) -> None:
    points = torch.linspace(0, 1, n, dtype=torch.float64)[:, None].expand(n, 3)
    for by_site, plain in zip(split_by_site(points, seed), split(n, seed), strict=True):
        assert torch.equal(by_site, plain)


def test_a_split_by_site_has_nearly_the_sizes_of_the_plain_split() -> None:
    points = torch.arange(1000).div(3, rounding_mode="floor")[:, None].double()
    assert [len(part) for part in split_by_site(points, 0)] == pytest.approx([800, 100, 100], abs=3)


@pytest.mark.parametrize("sizes", [(80, 1, 1), (4, 3, 3)])
@pytest.mark.parametrize("seed", range(6))
def test_no_part_is_empty_where_few_sites_have_all_rows(sizes: tuple[int, ...], seed: int) -> None:
    points = torch.arange(3).repeat_interleave(torch.tensor(sizes))[:, None]
    assert all(len(part) for part in split_by_site(points, seed))


def test_zero_and_minus_zero_are_one_site() -> None:
    points = torch.cat([torch.zeros(10), -torch.zeros(10), torch.ones(1), 2 * torch.ones(1)])[:, None]
    parts = split_by_site(points, 0)
    assert sum(bool((points[part] == 0).any()) for part in parts) == 1


@pytest.mark.parametrize("n", [0, 1, 9])
def test_too_few_rows_are_refused(n: int) -> None:
    for call in (lambda: split(n, 0), lambda: split_by_site(torch.rand(n, 3), 0)):
        with pytest.raises(DataError, match=rf"^{n} rows? cannot be split 80/10/10; at least 10 are needed$"):
            call()


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(OptionError, match="a seed is 0 or larger, got -1"):
        split(100, -1)
