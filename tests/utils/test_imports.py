import pytest

from llmreg._utils import import_optional
from llmreg.exceptions import MissingDependencyError, ProviderDependencyError


@pytest.mark.parametrize("error", [MissingDependencyError, ProviderDependencyError])
def test_what_is_missing_names_what_to_install(error):
    with pytest.raises(error, match=r'no_such.*pip install "llmreg\[flaml\]"'):
        import_optional("no_such_framework", "llmreg[flaml]", error)
