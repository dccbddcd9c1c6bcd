"""Variable domains whose loops everybody knows: trastuzumab's, and a nanobody."""

import numpy as np

HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    "SRWGGDGFYAMDYWGQGTLVTVSS"
)
LIGHT = "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK"
NANOBODY = (
    "QVQLVESGGGLVQAGGSLRLSCAASGIIFYVYAMGWYRQAPGKERELVASISTGGSTNYADSVKGRFTISRDNAKNTVYLQMNSLKPEDTAVYYC"
    "AADAGVYVISYLVDYWGQGTQVTVSS"
)
LYSOZYME = (
    "KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKI"
    "VSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL"
)
LINKER = "GGGGSGGGGSGGGGS"


def mutants(chain: str, n: int, places: int, seed: int = 0) -> list[str]:
    """Return relatives of a chain, each with other residues in so many places at most."""
    generator, found = np.random.default_rng(seed), []
    for _ in range(n):
        residues = list(chain)
        for place in generator.integers(0, len(chain), places):
            residues[place] = generator.choice(list("ADEFGKLRSTVY"))
        found.append("".join(residues))
    return found
