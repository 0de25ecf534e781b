"""No secret is told, whatever stands around it; and what is no secret stays readable."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.redaction import HIDDEN, LONGEST, Redactor, secrets_in

redacted = Redactor()
OWN = "QJYqj"
"""Letters that stand in secrets alone, so that not even a part of one goes unnoticed."""
WORD = OWN + string.digits
TOKENS = st.text(WORD + "-_.~+/=%", min_size=16, max_size=60)
PASSWORDS = st.text(WORD + "@:/?#[]!$&()*+,;=%-._~\\", min_size=16, max_size=40)
AWS_KEYS = st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16)
FRAGMENTS = [*"@\"'\\&<>\n ", "token=", "://", "authorization: ", "Bearer ", "password:", "s3://b/", "sig=", "%3D"]
AROUND = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(FRAGMENTS)), max_size=6).map(
    lambda parts: "".join(parts).translate(dict.fromkeys(map(ord, OWN)))
)
TOLD_BY = [
    "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={}&x=1",
    "&X-Amz-Credential={}",
    "&X-Amz-Security-Token={}",
    "%26X-Amz-Security-Token%3D{}",
    "?AWSAccessKeyId=AKIA&Signature={}&Expires=1",
    "?sv=2024-01-01&sig={}",
    "?X-Goog-Signature={}",
    "https://hub.example/model?token={}",
    "Authorization: Bearer {}",
    "'authorization': 'Basic {}'",
    "(b'Authorization', b'Bearer {}')",
    "authorization=Token {}",
    "Authorization: AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host, Signature={}",
    "x-api-key: {}",
    '"api_key": "{}"',
    '{{\\"token\\": \\"{}\\"}}',
    "('x-amz-security-token', '{}')",
    "aws_secret_access_key = {}",
    "'SecretAccessKey': '{}'",
    "AWS_SESSION_TOKEN={}",
    "<Error><Code>ExpiredToken</Code><Token-0>{}</Token-0></Error>",
    "hf_{}",
    "sk-proj-{}",
]


@given(AROUND, st.sampled_from(TOLD_BY), TOKENS, AROUND)
def test_what_is_named_as_a_secret_is_never_told(before: str, told_by: str, secret: str, after: str) -> None:
    if told_by.startswith(("hf_", "sk-")):
        secret = "".join(one for one in secret if one in WORD).ljust(16, "x")
    assert not set(redacted(f"{before}{told_by.format(secret)}{after}")) & set(OWN)


@given(
    AROUND, st.sampled_from(["redis", "rediss", "sentinel", "http", "https", "postgres"]), st.sampled_from(["", "fleet"]), PASSWORDS, AROUND
)
def test_no_password_of_a_url_is_told(before: str, scheme: str, user: str, password: str, after: str) -> None:
    assert not set(redacted(f"{before}{scheme}://{user}:{password}@broker.example:6379/0{after}")) & set(OWN)


@given(AROUND, st.sampled_from(["AKIA", "ASIA"]), AWS_KEYS, AROUND)
def test_no_access_key_of_aws_is_told(before: str, kind: str, key: str, after: str) -> None:
    assert kind + key not in redacted(f"{before}{kind}{key}{after}")


@given(AROUND, st.text(min_size=8, max_size=40), AROUND)
def test_what_is_known_to_be_secret_is_never_told_however_it_looks(before: str, secret: str, after: str) -> None:
    told = Redactor([secret])(f"{before}{secret}{after}")
    assert secret not in told.replace(HIDDEN, "")


@pytest.mark.parametrize(
    "text",
    [
        "shard 0123456789abcdef0123456789abcdef goes back to the queue after attempt 3: The store did not answer.",
        "s3://videos/cam-1/12:30:00@gate.mp4 was read; file:///clips/a@2x.mp4 too",
        "engine at http://gpu-1:8000/v1: 503; asking again in 1.0 s",
        "max_tokens=512, key: videos/2026/a.mp4, design=3",
        "the token: expired",
        "inventory+s3://bucket/prefix/a@b was listed",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_only_the_secret_goes() -> None:
    text = "GET https://b.example/v.mp4?X-Amz-Date=1&X-Amz-Signature=abc&part=2 of redis://fleet:pa/ss@queue:6379/0 failed"
    assert redacted(text) == "GET https://b.example/v.mp4?X-Amz-Date=1&X-Amz-Signature=***&part=2 of redis://***@queue:6379/0 failed"


def test_secrets_of_an_environment_are_found_by_the_names_of_variables_and_in_urls() -> None:
    environment = {
        "AWS_SECRET_ACCESS_KEY": "the secret key",
        "AWS_SESSION_TOKEN": "the session token",
        "FRAMEFLEET_OPENAI_API_KEY": "the api key",
        "HF_TOKEN": "the hub's token",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=fleet,authorization=Basic YWJj",
        "FRAMEFLEET_BROKER_URL": "sentinel://:first%40pass@a:26379;sentinel://:second-pass@b:26379/0",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/token",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
        "HOME": "/var/lib/fleet",
        "BROKEN": "http://[",
    }
    found = secrets_in(environment)
    assert {"the secret key", "the session token", "the api key", "the hub's token", "Basic YWJj"} <= found
    assert {"first%40pass", "first@pass", "second-pass"} <= found
    assert not found & {"/var/lib/fleet", "/var/run/secrets/token", "http://169.254.170.23/v1/credentials"}


def test_short_words_are_not_blotted_out_everywhere_for_being_somebodys_password() -> None:
    assert Redactor(["redis"])("redis is away") == "redis is away"


@pytest.mark.parametrize("word", ["://", "<token", "token", "token=", "eyJ", "a@b://"])
def test_foreign_words_without_an_end_are_cut_rather_than_searched_for_ever(word: str) -> None:
    assert redacted(f"it said: {word * 1_000_000}") == "it said: …"


@pytest.mark.parametrize("secret", [f"redis://fleet:{OWN * 4}@broker:6379/0", f"Bearer {OWN * 4}", f"token={OWN * 4}", f"AKIA{'QJYQ' * 4}"])
def test_no_half_of_a_secret_is_told_where_a_long_text_is_cut(secret: str) -> None:
    for begin in range(LONGEST - len(secret) - 2, LONGEST + 2):
        told = redacted(f"{('x ' * LONGEST)[:begin]} {secret} and more")
        assert not set(told) & set(OWN)
        assert len(told) <= LONGEST + len(HIDDEN)


def test_what_is_no_longer_than_a_line_may_be_is_told_whole() -> None:
    assert redacted("x " * (LONGEST // 2)) == "x " * (LONGEST // 2)
