"""Secrets that come in are kept beside those that are there, and go out only where they are stored ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb.errors import CredentialError
from agentnb.masking import Mask
from agentnb.models.keys import Credentials
from agentnb.models.providers import Provider
from agentnb.transfer.vaulting import Vaulting


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"AGENTNB_HOME": str(tmp_path), "AGENTNB_KEYRING": "off", "OPENAI_API_KEY": "sk-of-the-process"}


def test_a_key_becomes_a_credential_that_a_model_can_name(environ: dict[str, str]) -> None:
    mask = Mask()
    vaulting = Vaulting(environ, mask=mask)
    assert vaulting.keep("oa", "sk-first-key") == "oa"
    assert vaulting.keep("oa", "sk-first-key") == "oa"
    assert vaulting.keep("oa", "sk-second-key") == "oa-2"
    assert mask("sk-second-key") == "[key]"
    found = Credentials(environ).find(Provider("openai"), "oa")
    assert found is not None
    assert found.secrets["key"] == "sk-first-key"
    assert vaulting.reveal("oa-2") == "sk-second-key"


def test_a_variable_keeps_the_value_that_is_there(environ: dict[str, str]) -> None:
    vaulting = Vaulting(environ)
    assert vaulting.keep("env/DB_PASSWORD", "hunter2") == "file"
    assert vaulting.keep("env/DB_PASSWORD", "hunter2") == "file"
    with pytest.raises(CredentialError, match="another value here"):
        vaulting.keep("env/DB_PASSWORD", "hunter3")
    assert vaulting.reveal("env/DB_PASSWORD") == "hunter2"


def test_what_variables_of_the_process_hold_is_never_revealed(environ: dict[str, str]) -> None:
    vaulting = Vaulting(environ)
    for name in ("OPENAI_API_KEY", "openai", "env/OPENAI_API_KEY", "none"):
        assert vaulting.reveal(name) is None
