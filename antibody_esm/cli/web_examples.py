"""Example antibodies of the web page: published ones of the kind that a model reads."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from antibody_esm.sequences import BETWEEN

if TYPE_CHECKING:
    from antibody_esm.data.reading import Chains, Reading

_CHAINS = ("heavy", "light")
_PAIRS: "dict[str, Chains]" = {
    "trastuzumab": (
        "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
        "SRWGGDGFYAMDYWGQGTLVTVSS",
        "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK",
    ),
    "adalimumab": (
        "EVQLVESGGGLVQPGRSLRLSCAASGFTFDDYAMHWVRQAPGKGLEWVSAITWNSGHIDYADSVEGRFTISRDNAKNSLYLQMNSLRAEDTAVYYC"
        "AKVSYLSTASSLDYWGQGTLVTVSS",
        "DIQMTQSPSSLSASVGDRVTITCRASQGIRNYLAWYQQKPGKAPKLLIYAASTLQSGVPSRFSGSGSGTDFTLTISSLQPEDVATYYCQRYNRAPYTFGQGTKVEIK",
    ),
    "bococizumab": (
        "QVQLVQSGAEVKKPGASVKVSCKASGYTFTSYYMHWVRQAPGQGLEWMGEISPFGGRTNYNEKFKSRVTMTRDTSTSTVYMELSSLRSEDTAVYYC"
        "ARERPLYASDLWGQGTTVTVSS",
        "DIQMTQSPSSLSASVGDRVTITCRASQGISSALAWYQQKPGKAPKLLIYSASYRYTGVPSRFSGSGSGTDFTFTISSLQPEDIATYYCQQRYSLWRTFGQGTKLEIK",
    ),
}
"""Clinical antibodies as published by Jain et al. 2017, doi:10.1073/pnas.1616408114."""
_NANOBODIES: "dict[str, Chains]" = {
    "caplacizumab": (
        "EVQLVESGGGLVQPGGSLRLSCAASGRTFSYNPMGWFRQAPGKGRELVAAISRTGGSTYYPDSVEGRFTISRDNAKRMVYLQMNSLRAEDTAVYYC"
        "AAAGVRAEDGRVRTLPSEYTFWGQGTQVTVSS",
        None,
    ),
}
"""A clinical nanobody, the sequence of the World Health Organization's list of recommended names 66."""


def examples(reading: "Reading", training: Collection[str] = ()) -> str:
    """Return published antibodies as a model reads them, in FASTA.

    Parameters
    ----------
    reading
        Reading of the model: pairs, one chain, nanobodies or fragments.
    training
        Texts of the model's training antibodies, which are no examples.
    """
    excluded = set(training)
    chosen: dict[str, Chains] = dict(_NANOBODIES if "alpaca" in reading.species else _PAIRS)
    texts: list[str] = []
    for name, chains in chosen.items():
        whole = BETWEEN.join(filter(None, (dict(zip(_CHAINS, chains, strict=True))[each] for each in reading.chains)))
        parts = reading.read([chains], check=True).parts[0]
        if not whole or parts is None or excluded & {whole, BETWEEN.join(parts), "".join(parts)}:
            continue
        cut = BETWEEN.join(parts)  # a fragment is shown as such, if the model reads it as what it is
        again = reading.read([cut], check=True).parts[0] if cut != whole else None
        texts.append(f">{name}\n{cut if again == parts else whole}\n")
    return "".join(texts)
