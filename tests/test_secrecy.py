"""Nothing that is printed holds a secret or a control character."""

import pytest

from raycluster.errors import InputError, RayclusterError
from raycluster.secrecy import printable, redacted
from raycluster.storage.places import plain_url

KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://KEY:SECRET@bucket/run is empty", "s3://***@bucket/run is empty"),
        ("http://user@host:9000 and sftp://a:b@c/d", "http://***@host:9000 and sftp://***@c/d"),
        ("https://h/x?X-Amz-Signature=abc&part=1&token=t", "https://h/x?X-Amz-Signature=***&part=1&token=***"),
        ("s3://KEY:SEC/RET@bucket/run", "s3://***@bucket/run"),
        ("http://host:9000/bucket/a@b", "http://host:9000/bucket/a@b"),
        ("s3://bucket/a@b/c.parquet", "s3://bucket/a@b/c.parquet"),
        ("row 5 of a:b@c", "row 5 of a:b@c"),
    ],
)
def test_keys_in_urls_are_hidden(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_secrets_of_the_environment_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS[1])
    assert str(RayclusterError(f"{KEYS[0]} with {KEYS[1]} was refused.")) == "*** with *** was refused."
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    assert redacted("the test failed") == "the test failed"


def test_control_characters_are_escaped_and_letters_stay() -> None:
    assert printable("a\x1b[31mb\nc\u202ed\t") == "a\\x1b[31mb\\nc\\u202ed\\t"
    assert printable("Zürich 東京 \N{GRINNING FACE} '\"\\") == "Zürich 東京 \N{GRINNING FACE} '\"\\"
    assert str(InputError("in\n.parquet, row 5")) == "in\\n.parquet, row 5"


@pytest.mark.parametrize("url", ["s3://KEY:SECRET@bucket/run", "https://host/x.parquet?X-Amz-Signature=abc"])
def test_a_url_with_keys_is_refused_without_them(url: str) -> None:
    with pytest.raises(InputError, match="holds keys, which would be stored with the run") as caught:
        plain_url(url)
    assert ":SECRET@" not in str(caught.value)
    assert "abc" not in str(caught.value)
