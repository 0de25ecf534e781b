"""Takes secrets out of text that is logged: what stands in the environment as one, and what looks like one wherever it comes from.

What is hidden by its looks: user and password in a URL, the values of names such as `token=`, `X-Amz-Signature=` or `"password":`,
Authorization headers, and keys and tokens of known shapes. Names in `s3://`, `file://` and `memory://` may have an `@`, and stay.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote, urlsplit

HIDDEN = "***"
LONGEST = 1 << 14
"""Characters of a text that are told, which is what container runtimes take for one line: foreign words may be of any length, and to look
for secrets in them takes time by the square of it, in which no other thread runs."""
SHORTEST_KNOWN = 8
"""Characters of a known secret that is looked for as it stands: to hide shorter ones everywhere would blot out words."""

_QUOTES = r"[\"'\\]*"
_VALUE = r"[^\s\"'\\&<>]"
_NAMES = r"(?:signature|credential|token|passwd|password|secret|api[-_]?key|access[-_]?key(?:[-_]?id)?|accessid|(?<![a-z0-9])sig)"
_SCHEMES = r"(?:bearer|basic|digest|negotiate|token|apikey|aws4-hmac-sha256)"
_BYTES = r"(?:b(?=[\"']))?"
_LOOKS = {
    ("://",): (re.compile(r"(?<!s3)(?<!file)(?<!memory)://(?=([^\s\"'<>]{0,4096})@)"),),
    ("sig", "credential", "token", "passw", "secret", "api", "access"): (
        re.compile(rf"{_NAMES}{_QUOTES}\s*(?:=|%3d)\s*{_QUOTES}(?=({_VALUE}+))", re.IGNORECASE),
        re.compile(rf"{_NAMES}{_QUOTES}\s*:\s*{_QUOTES}(?=({_VALUE}{{8,}}))", re.IGNORECASE),
        re.compile(rf"<[\w-]{{0,40}}{_NAMES}[\w-]{{0,40}}>(?=({_VALUE}+))", re.IGNORECASE),  # S3 tells a token back that it does not take
        re.compile(rf"{_NAMES}[\"']\s*,\s*{_BYTES}[\"'](?=({_VALUE}+))", re.IGNORECASE),
    ),
    ("authorization", "bearer"): (
        re.compile(rf"authorization{_QUOTES}\s*[:=,]\s*{_BYTES}{_QUOTES}(?:{_SCHEMES}\s+)?(?=({_VALUE}+))", re.IGNORECASE),
        re.compile(rf"\bbearer\s+(?=({_VALUE}{{16,}}))", re.IGNORECASE),
    ),
    ("akia", "asia", "hf_", "sk-", "gh", "xox", "eyj"): (
        re.compile(r"((?:AKIA|ASIA)[A-Z0-9]{16})"),
        re.compile(r"((?:hf_|sk-|gh[opsu]_|xox[bp]-)[\w-]{16,})"),
        re.compile(r"(eyJ[\w-]{8,2048}\.[\w-]{8,}\.[\w-]{8,})"),
    ),
}
"""What a secret is known by: one of these words, which are quick to look for, and then one of these patterns, whose group is the secret.

A value is only looked ahead at, so that what is in it is looked at too.
"""
_SECRET_VARIABLE = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|CREDENTIAL|_AUTH$|_HEADERS$")
_PLACE_VARIABLE = re.compile(r"_(FILE|PATH|URI)$")
"""Says where a secret lies, as AWS_WEB_IDENTITY_TOKEN_FILE does, which whoever cannot read it must be told."""


class Redactor:
    """Hides secrets in text."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """Hide what is known to be secret besides what looks so."""
        words = sorted({word for word in known if len(word) >= SHORTEST_KNOWN}, key=len, reverse=True)
        self._known = re.compile(f"({'|'.join(map(re.escape, words))})") if words else None

    def __call__(self, text: str) -> str:
        """The text without its secrets; the rest of it may lose a word too many, and what is too long its end."""
        if len(text) > LONGEST:
            text = f"{_begun(text)}…"
        found = sorted(match.span(1) for pattern in self._worth_trying(text) for match in pattern.finditer(text))
        return _without(text, found) if found else text

    def _worth_trying(self, text: str) -> Iterator[re.Pattern[str]]:
        if self._known:
            yield self._known
        lowered = text.lower()
        for words, patterns in _LOOKS.items():
            if any(word in lowered for word in words):
                yield from patterns


def _begun(text: str) -> str:
    """The beginning of a text that is too long, without the word that the cut may have left half of."""
    begun = text[:LONGEST]
    return begun[: max(map(begun.rfind, " \n\t")) + 1]


def _without(text: str, found: Sequence[tuple[int, int]]) -> str:
    kept, at = [], 0
    for start, end in found:
        if start >= at:
            kept += [text[at:start], HIDDEN]
        at = max(at, end)
    return "".join([*kept, text[at:]])


def secrets_in(environment: Mapping[str, str]) -> frozenset[str]:
    """Values of an environment that must not be told: of variables named so, and passwords in URLs."""
    return frozenset(word for name, value in environment.items() for word in _secrets_of(name, value))


def _secrets_of(name: str, value: str) -> Iterator[str]:
    if _SECRET_VARIABLE.search(name.upper()) and not _PLACE_VARIABLE.search(name.upper()):
        yield value
        yield from (part.partition("=")[2] for part in value.split(",") if "=" in part)  # OTEL_EXPORTER_OTLP_HEADERS is a list
    for part in value.split(";"):  # as the addresses of Sentinels are written
        password = _password_in(part)
        if password:
            yield from (password, unquote(password))


def _password_in(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None
