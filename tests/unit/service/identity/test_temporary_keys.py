import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import api_keys, temporary_keys
from sottovoce.service.identity.api_keys import Product
from sottovoce.service.identity.temporary_keys import Expired, InvalidToken, TokenIssuer, TokenRequest, VerificationKey
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor, new_key
from tests.log_records import warnings
from tests.unit.service.service_values import migrated

NOW = 1_800_000_000.5
GRANT = TokenRequest(key_id="0123456789abcdef", project_id=1, product=Product.BATCH, ttl=60)
CLAIMS: dict[str, Any] = {
    "iss": "sottovoce", "iat": 1_800_000_000, "exp": 1_800_000_060, "jti": "j", "type": "batch", "region": "eu1",
    "key": "0123456789abcdef", "project": 1,
}  # fmt: skip


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path, migrate.CONTROL) as made:
        with made.writing() as connection:
            api_keys.bootstrap(connection, "abcdefgh12345678")
        yield made


@pytest.fixture
def encryptor() -> Encryptor:
    return Encryptor([new_key()])


@pytest.fixture
def mint(control: Database, encryptor: Encryptor) -> TokenIssuer:
    return TokenIssuer(control, encryptor, "eu1", lambda: NOW)


@pytest.fixture(scope="module")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def witness(key: Ed25519PrivateKey) -> VerificationKey:
    return VerificationKey(id="aaaaaaaaaaaaaaaa", region="eu1", public_key=key.public_key())


def make(mint: TokenIssuer, **changes: Any) -> str:
    values = {name: getattr(GRANT, name) for name in TokenRequest.__dataclass_fields__}
    return asyncio.run(mint.make(TokenRequest(**{**values, **changes})))[0]


def key_of(token: str) -> str:
    found = temporary_keys.signing_key_of(token)
    assert found
    return found


def seen(control: Database, token: str) -> VerificationKey:
    with control.reading() as connection:
        found = temporary_keys.witness(connection, key_of(token))
    assert found
    return found


def signing_keys(control: Database) -> list[Any]:
    with control.reading() as connection:
        return list(connection.execute(sa.select(t.signing_keys).order_by(t.signing_keys.c.created_at)))


# ── what is made is true ──


def test_a_temporary_key_says_what_was_granted(control: Database, mint: TokenIssuer) -> None:
    token = make(mint, client_ref="shop 7", ttl=86_400)
    claims = temporary_keys.verify(token, seen(control, token))
    assert (claims.key_id, claims.project_id, claims.product) == (GRANT.key_id, 1, Product.BATCH)
    assert (claims.region, claims.client_ref) == ("eu1", "shop 7")
    assert (claims.issued, claims.expires) == (1_800_000_000, 1_800_086_400)
    assert len(token) < temporary_keys.MAX_TOKEN


def test_no_two_are_the_same_and_none_holds_a_secret(mint: TokenIssuer) -> None:
    made = {make(mint) for _ in range(20)}
    assert len(made) == 20
    body = json.loads(base64.urlsafe_b64decode(made.pop().split(".")[1] + "=="))
    assert set(body) == set(CLAIMS)


def test_the_time_of_the_sign_in_is_in_the_keys_of_the_portal_only(control: Database, mint: TokenIssuer) -> None:
    token = make(mint, since=1_799_990_000)
    assert temporary_keys.verify(token, seen(control, token)).since == 1_799_990_000
    other = make(mint)
    assert temporary_keys.verify(other, seen(control, other)).since is None


def test_a_reference_is_ignored_for_realtime(control: Database, mint: TokenIssuer) -> None:
    token = make(mint, client_ref="shop 7", product=Product.RT)
    assert temporary_keys.verify(token, seen(control, token)).client_ref is None


@pytest.mark.parametrize("ttl", [59, 0, -1, 86_401, 1 << 62])
def test_a_temporary_key_lasts_for_a_minute_to_a_day(mint: TokenIssuer, ttl: int) -> None:
    with pytest.raises(Refused, match="ttl in body should be") as caught:
        make(mint, ttl=ttl)
    assert caught.value.kind is Kind.INVALID_QUERY


def test_a_reference_is_one_line(mint: TokenIssuer) -> None:
    for bad in ("a\nb", "x" * 257):
        with pytest.raises(Refused, match="client_ref"):
            make(mint, client_ref=bad)


@pytest.mark.parametrize(
    ("at", "verdict"),
    [(-10.5, None), (-11, InvalidToken), (0, None), (60, None), (69.9, None), (70, Expired), (90_000, Expired)],
)
def test_clocks_may_differ_by_ten_seconds(mint: TokenIssuer, at: float, verdict: type[Exception] | None) -> None:
    _, claims = asyncio.run(mint.make(GRANT))
    if verdict is None:
        claims.check(1_800_000_000 + at + (0.5 if at < 0 else 0))
    else:
        with pytest.raises(verdict) as caught:
            claims.check(1_800_000_000 + at)
        assert type(caught.value) is verdict


# ── what is not made by us is not ──


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_nothing_but_our_algorithm_is_looked_at(key: Ed25519PrivateKey, witness: VerificationKey) -> None:
    public = key.public_key().public_bytes_raw()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = {"kid": witness.id, "typ": "JWT"}
    forged = [
        jwt.encode(CLAIMS, "", algorithm="none", headers=head),
        jwt.encode(CLAIMS, public, algorithm="HS256", headers=head),
        ".".join((encoded({**head, "alg": "EdDSA"}), encoded(CLAIMS), "")),
        ".".join((encoded({**head, "alg": "none"}), encoded(CLAIMS), "")),
    ]
    names = ("None", "nOnE", "HS256", "HS512", "eddsa", "RS256")
    forged += [".".join((encoded({**head, "alg": name}), encoded(CLAIMS), encoded(b"x" * 64))) for name in names]
    with pytest.raises(jwt.InvalidKeyError):  # the library does not even sign with it
        jwt.encode(CLAIMS, pem, algorithm="HS256", headers=head)
    for token in forged:
        with pytest.raises(InvalidToken):
            temporary_keys.verify(token, witness)
        if '"EdDSA"' not in json.dumps(jwt.get_unverified_header(token)):
            assert temporary_keys.signing_key_of(token) is None


def test_another_key_and_a_changed_claim_are_untrue(key: Ed25519PrivateKey, witness: VerificationKey) -> None:
    good = jwt.encode(CLAIMS, key, algorithm="EdDSA", headers={"kid": witness.id})
    assert temporary_keys.verify(good, witness).id == "j"
    head, _, signature = good.split(".")
    strangers = jwt.encode(CLAIMS, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": witness.id})
    changed = ".".join((head, encoded({**CLAIMS, "project": 2}), signature))
    for token in (strangers, changed, good[:-4], good + "AAAA", good.replace(".", ".."), ""):
        with pytest.raises(InvalidToken):
            temporary_keys.verify(token, witness)


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in CLAIMS),  # left out
        {"iss": "somebody"}, {"iat": "1800000000"}, {"iat": True}, {"iat": 1e9}, {"exp": 1_800_000_059}, {"exp": 1_800_086_401},
        {"exp": 1_799_999_000}, {"type": "tts"}, {"type": 1}, {"region": "us1"}, {"region": ["eu1"]}, {"project": "1"}, {"project": True},
        {"key": 7}, {"jti": 7}, {"client_ref": 7}, {"client_ref": None, "exp": 1.5},
    ],
)  # fmt: skip
def test_claims_that_we_never_sign_are_untrue(
    key: Ed25519PrivateKey, witness: VerificationKey, changes: dict[str, Any]
) -> None:
    """Even with our own signature: whoever had the key for a moment shall not have more than we would have given."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    body = json.dumps(claims).encode()
    token = jwt.PyJWS().encode(body, key, algorithm="EdDSA", headers={"kid": witness.id})
    with pytest.raises(InvalidToken):
        temporary_keys.verify(token, witness)


def test_an_extension_that_must_be_understood_is_not(key: Ed25519PrivateKey, witness: VerificationKey) -> None:
    token = jwt.encode(CLAIMS, key, algorithm="EdDSA", headers={"kid": witness.id, "crit": ["x"], "x": 1})
    with pytest.raises(InvalidToken):
        temporary_keys.verify(token, witness)


HEAD: dict[str, Any] = {"alg": "EdDSA", "kid": "aaaaaaaaaaaaaaaa"}


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "a.b", "a.b.c", "eyJ.eyJ.eyJ", "....", "plain-secret", "two.dots.secret", "ü.ü.ü", "\ud800.a.b", "a" * 5000 + ".b.c",
        encoded([]) + ".e30.AA", encoded(1) + ".e30.AA",
        *(encoded(head) + ".e30.AA" for head in (
            {}, {**HEAD, "kid": 7}, {**HEAD, "kid": "../../etc/passwd"}, {**HEAD, "kid": "' OR 1=1 --"}, {**HEAD, "alg": None},
            {**HEAD, "kid": "aaaaaaaaaaaaaaaa\n"}, {"alg": "EdDSA"}, {**HEAD, "kid": ["aaaaaaaaaaaaaaaa"]}, {**HEAD, "b64": False, "crit": ["b64"]},
        )),
        encoded(b'{"a":' + b"[" * 2000) + ".e30.AA", encoded(b"\xff\xfe") + ".e30.AA", encoded(b'{"kid":"\\ud800"}') + ".e30.AA",
        encoded(b'{"a":' + b"[" * 1400 + b"]" * 1400 + b"}") + ".e30.AA", encoded(b"9" * 3000) + ".e30.AA",
    ],
    ids=lambda token: ascii(token)[:40],
)  # fmt: skip
def test_hostile_keys_are_no_tokens_and_no_faults(token: str) -> None:
    found = temporary_keys.signing_key_of(token)
    assert found in {None, "aaaaaaaaaaaaaaaa"}


# ── signing keys ──


def test_the_private_half_is_kept_sealed(control: Database, mint: TokenIssuer, encryptor: Encryptor) -> None:
    token = make(mint)
    (row,) = signing_keys(control)
    assert row.id == temporary_keys.signing_key_of(token)
    private = Ed25519PrivateKey.from_private_bytes(encryptor.decrypt(row.private_key))
    assert private.public_key().public_bytes_raw() == row.public_key
    assert private.private_bytes_raw() not in row.private_key


def test_a_key_is_made_once_and_used_by_every_process(control: Database, encryptor: Encryptor) -> None:
    made = [make(TokenIssuer(control, encryptor, "eu1", lambda: NOW)) for _ in range(3)]
    assert len({temporary_keys.signing_key_of(token) for token in made}) == 1


def test_regions_sign_with_keys_of_their_own_and_check_each_others(control: Database) -> None:
    """Even with key files of their own."""
    token = make(TokenIssuer(control, Encryptor([new_key()]), "us1", lambda: NOW))
    make(TokenIssuer(control, Encryptor([new_key()]), "eu1", lambda: NOW))
    assert temporary_keys.verify(token, seen(control, token)).region == "us1"
    assert len(signing_keys(control)) == 2


def test_what_a_renewed_key_signed_stays_good_and_nobody_can_sign_with_it(
    control: Database, encryptor: Encryptor, mint: TokenIssuer
) -> None:
    old = make(mint)
    with control.writing() as connection:
        temporary_keys.renew(connection, encryptor, "eu1")
    new = make(mint)
    assert temporary_keys.signing_key_of(old) != temporary_keys.signing_key_of(new)
    assert temporary_keys.verify(old, seen(control, old)).id
    first, second = sorted(signing_keys(control), key=lambda row: row.retired_at is None)
    assert (first.private_key, second.retired_at) == (None, None)
    with control.writing() as connection:  # a day later
        past = t.signing_keys.c.retired_at - 86_420_001
        connection.execute(sa.update(t.signing_keys).values(retired_at=past))
        assert temporary_keys.witness(connection, key_of(old)) is None
        temporary_keys.renew(connection, encryptor, "eu1")
    assert first.id not in {row.id for row in signing_keys(control)}


def test_forgetting_makes_all_of_a_region_worthless_and_the_next_is_good(
    control: Database, encryptor: Encryptor, mint: TokenIssuer
) -> None:
    theirs = make(TokenIssuer(control, encryptor, "us1", lambda: NOW))
    old = make(mint)
    with control.writing() as connection:
        temporary_keys.forget(connection, "eu1")
        assert temporary_keys.witness(connection, key_of(old)) is None
    new = make(mint)  # the same process
    assert temporary_keys.signing_key_of(new) != temporary_keys.signing_key_of(old)
    assert temporary_keys.verify(new, seen(control, new))
    assert temporary_keys.verify(theirs, seen(control, theirs))


def test_a_key_that_cannot_be_opened_is_replaced(
    control: Database, mint: TokenIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that was restored without its key file."""
    make(mint)
    token = make(TokenIssuer(control, Encryptor([new_key()]), "eu1", lambda: NOW))
    assert temporary_keys.verify(token, seen(control, token))
    assert warnings(caplog) == ["signing key cannot be decrypted, a new one is created"]
