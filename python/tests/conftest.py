"""Tests run once for each library of tensors that is here. What hypothesis draws is the same in every run, unless
NSAMETA_TEST_CASES asks for so many cases of each property: then a failure prints the line that draws it again.
"""

import os

import pytest
from hypothesis import Phase, settings
from libraries import LIBRARIES

num_cases = os.environ.get("NSAMETA_TEST_CASES")
settings.register_profile(
    "nsameta",
    max_examples=int(num_cases or 100),
    derandomize=num_cases is None,
    print_blob=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    deadline=None,
)
settings.load_profile("nsameta")


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.name)
def tensors(request):
    return request.param
