"""The changes that `make mutants` makes still fit the code, so that they are not lost unnoticed."""

import pytest

from tools import mutants

ALL = mutants.read()


@pytest.mark.parametrize("mutant", ALL, ids=[f"{one.promise}-{one.file}" for one in ALL])
def test_a_mutant_fits_the_code(mutant: mutants.Mutant) -> None:
    text = (mutants.ROOT / mutant.file).read_text()
    assert mutants.changed(text, mutant) != text
    assert (mutants.ROOT / mutant.test.partition("::")[0]).is_file()
