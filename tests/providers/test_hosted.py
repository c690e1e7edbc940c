import functools
import json
import os
import pickle

import pytest
from pydantic import SecretStr

from llmreg.exceptions import ProviderError
from llmreg.providers import AnthropicProvider, OpenAIProvider
from llmreg.providers._hosted._wire import hide, is_importable

KEY = "sk-planted-key"


def from_vault():
    return KEY


def test_only_functions_by_name_are_pickled():
    def closure():
        return key

    key = KEY
    for source in (SecretStr(KEY).get_secret_value, closure, lambda: KEY):
        provider = AnthropicProvider(api_key=source)
        assert KEY not in repr(provider)
        saved = pickle.dumps(provider)
        assert KEY.encode() not in saved
        assert pickle.loads(saved).api_key is None
        assert provider.api_key is source
    assert is_importable(os.getcwd)
    named = AnthropicProvider(api_key=from_vault)
    assert pickle.loads(pickle.dumps(named)).api_key is from_vault


@pytest.mark.parametrize("value", [KEY, functools.partial(str, KEY), 3])
def test_a_key_in_plain_sight_is_refused(value):
    with pytest.raises(TypeError, match="must be a function") as caught:
        AnthropicProvider(api_key=value)
    assert KEY not in str(caught.value)


def test_address_from_the_environment_keeps_answers_apart(monkeypatch):
    plain = AnthropicProvider().identity()
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    assert AnthropicProvider().identity() != plain
    assert (
        AnthropicProvider().identity()
        == AnthropicProvider(base_url="http://127.0.0.1:1").identity()
    )


@pytest.mark.parametrize("kind", [AnthropicProvider, OpenAIProvider])
@pytest.mark.parametrize(
    "address",
    [f"http://user:{KEY}@127.0.0.1:1/v1", f"https://{KEY}@host", f"http://[{KEY}@"],
)
def test_a_password_in_an_address_is_refused(kind, address, task, monkeypatch):
    provider = kind(base_url="http://127.0.0.1:1")
    for assign in (
        lambda: kind(base_url=address),
        lambda: provider.set_params(base_url=address),
    ):
        with pytest.raises(ProviderError, match="password in front of an @") as caught:
            assign()
        assert KEY not in str(caught.value)
        assert caught.value.__context__ is None or KEY not in repr(
            caught.value.__context__
        )
    assert provider.base_url == "http://127.0.0.1:1"
    assert pickle.loads(pickle.dumps(provider)).base_url == provider.base_url
    variable = kind._address_variable
    monkeypatch.setenv(variable, address)
    with pytest.raises(ProviderError, match=variable) as caught:
        kind().elicit(task)
    assert KEY not in str(caught.value)


def test_an_address_may_hold_an_at_sign_elsewhere():
    assert OpenAIProvider(base_url="http://host/v1/@me").base_url.endswith("@me")


SECRET = "sk-planted/1f0e9d8c"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        SECRET.replace("/", "\\/"),
        SECRET.replace("s", "\\u0073").replace("/", "\\u002F"),
        "\u200b\u2060".join(SECRET),
        json.dumps("\u200b \n".join(SECRET))[1:-1],
        f"{SECRET[:4]}\\u0020{SECRET[4:]}",
    ],
)
def test_a_secret_is_seen_however_it_is_written(written):
    other = "another secret"
    assert hide(f"1 {written} 2", (other, SECRET)) == "1 *** 2"
    assert hide(written + written, (SECRET,)) == "***" * 2
    assert hide(written + SECRET[:-1], (SECRET,)) == "***" + SECRET[:-1]


def test_other_texts_stay_as_they_are():
    text = 'A "reason"\\n of \\u00e9 \\ größer\\x: ' + SECRET[:-1]
    assert hide(text, (SECRET, "", " " * 9)) == text
    # What is short is no more than a word: only as it is.
    assert hide("n one, none", ("none",)) == "n one, ***"
