"""Columns of a user's table that are no sequence: measurements, and those that a model reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import Dataset, DatasetError, load_dataset
from antibody_esm.data.columns import normal_column
from antibody_esm.data.labels import RESERVED
from antibody_esm.data.other_columns import values_of
from antibody_esm.data.parts import FRAGMENTS
from effort import examples

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(
    lambda name: name not in RESERVED and not name.startswith("Unnamed: ")
)
NUMBERS = st.none() | st.floats() | st.integers(-(2**40), 2**40)
TEXTS = st.none() | st.sampled_from(["IgG1", "4", "4.0", "true", "a b", "é", "NA x"])
FINITE = st.none() | st.floats(allow_infinity=False)
CHAINS = ["EVQLV", "QVQLQ", "DIQMT"]


@st.composite
def data_sets(draw: st.DrawFn) -> Dataset:
    n = draw(st.integers(1, 4))
    ids = draw(st.lists(st.sampled_from(["a", "1", "01", "x y", "é"]), min_size=n, max_size=n, unique=True))
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    first = draw(st.integers(0, len(names)))
    several = draw(st.integers(0, first))

    def rows(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=n, max_size=n))

    chain = draw(st.sampled_from(["heavy", "light", "both", "paired"]))
    parts = [name for name, part in FRAGMENTS.items() if part.chain == ("both" if chain == "paired" else chain)]
    return Dataset(
        ids,
        None if chain == "light" else rows(st.sampled_from(CHAINS)),
        None if chain == "heavy" else rows(st.sampled_from(CHAINS)),
        label=None if several else rows(st.floats(allow_nan=False, allow_infinity=False)),
        targets=tuple(names[:several]),
        groups=draw(st.none() | st.just(["g"] * n)),
        chain=chain,
        fragment=draw(st.none() | st.sampled_from(parts)),
        measurements={
            name: np.array(rows(NUMBERS if place >= several else FINITE), np.float64)
            for place, name in enumerate(names[:first])
        },
        columns={name: normal_column(rows(draw(st.sampled_from([NUMBERS, TEXTS])))) for name in names[first:]},
    )


def assert_equal(first: Dataset, second: Dataset) -> None:
    for name in ("ids", "heavy", "light", "groups", "chain", "fragment", "targets", "not_kept"):
        assert getattr(first, name) == getattr(second, name), name
    np.testing.assert_array_equal(np.array(first.label), np.array(second.label))
    for columns in ("measurements", "columns"):
        mine, theirs = getattr(first, columns), getattr(second, columns)
        assert list(mine) == list(theirs)
        for name in mine:
            assert type(mine[name]) is type(theirs[name]), name
            np.testing.assert_array_equal(np.array(mine[name]), np.array(theirs[name]))


@given(data_sets())
@examples(150)
def test_a_data_set_comes_back_from_its_frame(data: Dataset) -> None:
    options: dict[str, Any] = {"chain": data.chain, "part": data.fragment, "columns": list(data.columns)}
    if data.targets:
        options["label"] = list(data.targets)
    again = load_dataset(data.to_frame(), **options)
    assert_equal(data, again)
    assert load_dataset(again.to_frame(), **options).digest == again.digest


@given(data_sets())
@examples(50)
def test_a_subset_keeps_the_kind_of_every_column(data: Dataset) -> None:
    for rows in ([0], [], list(range(len(data)))):
        part = data.subset(rows)
        for name, values in data.columns.items():
            assert type(part.columns[name]) is type(values)
            assert list(map(str, part.columns[name])) == [str(values[row]) for row in rows]


TABLE = pd.DataFrame(
    {
        "id": ["a", "b", "c"],
        "heavy": CHAINS,
        "label": [0, 1, 1],
        "psr": ["0.1", "", "N/A"],
        "hc_subtype": ["IgG1", " IgG4 ", "-"],
        "ph": [6, 7.5, None],
        "comment": ["good", "bad", ""],
        "fold": [0, 1, 0],
    }
)


def test_a_file_and_a_frame_have_the_same_columns_and_measurements(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "a.csv", index=True)  # whose first column has no name
    data = load_dataset(TABLE, columns=["hc_subtype", "ph"])
    assert data.columns["hc_subtype"] == ("IgG1", "IgG4", None)
    np.testing.assert_array_equal(data.columns["ph"], [6, 7.5, np.nan])
    assert list(data.measurements) == ["psr", "fold"]
    np.testing.assert_array_equal(data.measurement("psr"), [0.1, np.nan, np.nan])
    assert data.not_kept == ("comment",)
    assert_equal(data, load_dataset(tmp_path / "a.csv", columns=["hc_subtype", "ph"]))
    left_out = load_dataset(TABLE, columns=["hc_subtype", "ph"], drop=True)
    assert left_out.ids == ("a", "b")
    assert left_out.provenance.dropped == {"c": "no number in column ph"}


def test_columns_change_the_digest_and_their_order_does_not_hide_it() -> None:
    data = load_dataset(TABLE)
    digests = {load_dataset(TABLE, columns=names).digest for names in (["ph"], ["psr"], ["hc_subtype"])}
    assert len(digests | {data.digest}) == 4


def test_a_missing_name_lists_the_names_there_are() -> None:
    data = load_dataset(TABLE, columns=["hc_subtype"])
    for name in ("comment", "hc_subtype"):
        with pytest.raises(DatasetError, match=f"'{name}': it is a column of text. .* are: psr, ph, fold"):
            data.measurement(name)
    with pytest.raises(DatasetError, match="no measurement 'hic'. The measurements are: psr"):
        data.measurement("hic")
    with pytest.raises(DatasetError, match="there is no column 'isotype'. The columns are: id, heavy"):
        load_dataset(TABLE, columns=["isotype"])
    with pytest.raises(DatasetError, match="columns= must be a list of names"):
        load_dataset(TABLE, columns="ph")
    for used in ("id", "heavy"):
        with pytest.raises(DatasetError, match=f"'{used}' is a column of ids, chains"):
            load_dataset(TABLE, columns=[used])
    with pytest.raises(DatasetError, match="has no options .*columns="):
        load_dataset("boughter_flu_cdrs", columns=["ph"])


@pytest.mark.parametrize("text", ["1_0", "0x1", "high", "1,5"])
def test_a_number_that_python_alone_reads_is_text(text: str) -> None:
    assert values_of(pd.Series(["1", text])) == ("1", text)


def test_a_column_of_numbers_but_for_one_cell_is_read_as_categories_with_a_warning(tmp_path: Path) -> None:
    table = pd.DataFrame({
        "id": [f"a{row}" for row in range(12)],
        "heavy": ["EVQLV"] * 12,
        "label": [0, 1] * 6,
        "ph": [*["7.4"] * 6, "", "ca. 6", *["6"] * 4],
        "isotype": [*["1"] * 9, "x", "2", "y"],
    })  # fmt: skip
    table.to_csv(tmp_path / "a.csv", index=False)
    message = r"^column 'ph': 10 of 11 cells are numbers, {} is 'ca. 6'; it is read as categories$"
    for source, place in ((table, r"row 8 \(index 7, id a7\)"), (tmp_path / "a.csv", r"line 9 \(id a7\)")):
        with pytest.warns(UserWarning, match=message.format(place)) as caught:
            data = load_dataset(source, columns=["ph", "isotype"])
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert data.columns["ph"][7] == "ca. 6"
    load_dataset(table.astype({"ph": "category"}), columns=["ph"])  # categories that were meant
