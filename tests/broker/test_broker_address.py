import pytest

from broker.address import Address
from broker.prefixed import with_prefix
from schemas.errors import OperatorError


def test_a_url_without_a_query_is_itself() -> None:
    assert Address.of("redis://h:1/0") == Address("redis://h:1/0")
    assert Address.of("redis://h:1/0").options() == {}


def test_what_is_ours_is_taken_out_of_the_query() -> None:
    address = Address.of("sentinel://a:1;sentinel://b:2/0?master_name=main&ssl_cert_reqs=none&key_prefix=team%3A&transport=celery")
    assert address == Address("sentinel://a:1;sentinel://b:2/0?ssl_cert_reqs=none", claims=False, key_prefix="team:", master_name="main")
    assert address.options() == {"global_keyprefix": "team:", "master_name": "main"}


def test_what_is_kombus_stays_in_the_query() -> None:
    assert Address.of("rediss://h/0?ssl_ca_certs=%2Fca.pem").url == "rediss://h/0?ssl_ca_certs=%2Fca.pem"


def test_a_transport_that_does_not_exist_is_refused() -> None:
    with pytest.raises(OperatorError, match="no transport 'pigeon' in a broker's URL"):
        Address.of("redis://h/0?transport=pigeon")


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("HSET", "a", "b", "c"), ("HSET", "p:a", "b", "c")),
        (("MGET", "a", b"b"), ("MGET", "p:a", "p:b")),
        (("DEL", "a", "b"), ("DEL", "p:a", "p:b")),
        (("PING",), ("PING",)),
        (("CONFIG SET", "maxmemory", "0"), ("CONFIG SET", "maxmemory", "0")),
        (("EVAL", "script", 1, "p:a"), ("EVAL", "script", 1, "p:a")),
    ],
)
def test_keys_and_only_keys_get_the_prefix(words: tuple[object, ...], sent: tuple[object, ...]) -> None:
    assert with_prefix("p:", words) == sent
    assert with_prefix("", words) == words
