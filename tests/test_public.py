import pytest

from antibody_esm import DatasetError, load_dataset


def test_the_influenza_antibodies_are_those_of_the_paper() -> None:
    data = load_dataset("boughter_flu_cdrs")
    assert len(data) == 358
    assert (int((data.binary_labels() == 0).sum()), int(data.binary_labels().sum())) == (185, 173)
    assert data.provenance.counts == {"specific": 185, "polyreactive": 173}
    assert "10.7554/eLife.61393" in data.provenance.citation
    assert "2 or more" in data.provenance.rule
    assert data.provenance.licence == "MIT"


def test_the_default_input_is_the_three_heavy_loops_joined() -> None:
    data = load_dataset("boughter_flu_cdrs")
    assert data.sequences[0] == "GYIFTGYY" + "INPNTGVT" + "AKDRAWLVYDDGSDV"
    assert load_dataset("boughter_flu_cdrs", chain="light").sequences[0] == "ILGDTY" + "HDF" + "QTWDGGAL"


def test_its_files_are_byte_for_byte_those_of_the_package_they_come_from() -> None:
    # RECORD of aims-immune 0.9.3 lists the same digests.
    assert load_dataset("boughter_flu_cdrs").provenance.sha256 == {
        "flu_mono.csv": "efa125c287488081acc18c540313a959672d0af36e811efd6fa97dc574de5e11",
        "flu_poly.csv": "3c0c7791d9510a071f702543f6854a2b8ba5070797802e002d3abb51be17fa25",
    }


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(DatasetError, match="unknown data set 'bougter'; choose one of boughter, boughter_flu_cdrs"):
        load_dataset("bougter")


def test_columns_of_a_public_data_set_are_its_own() -> None:
    with pytest.raises(DatasetError, match="has no options id=, heavy=, light=, label=, groups="):
        load_dataset("boughter_flu_cdrs", label="psr")
