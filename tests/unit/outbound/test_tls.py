"""TLS with authorities and receivers of the test's own: always verified, for the name and not for the address."""

import asyncio
import datetime as dt
import ipaddress
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sottovoce.outbound import FailureKind, OutboundFailed, Policy
from sottovoce.outbound.client import Outbound
from tests.unit.outbound.receivers import (
    HERE,
    QUICK,
    Names,
    Receiver,
    Script,
    answer,
    ask,
    opened,
    receiving,
    redirect,
    run,
    says,
)

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
NAMES = {"hooks.example": [HERE], "other.example": [HERE]}


class Authority:
    """Signs certificates; its own stands in `file`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        own = (
            self._builder(self._name, self._key, NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, until: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 2 * DAY)
            .not_valid_after(until)
        )

    def serving(self, names: Sequence[str], until: dt.datetime = NOW + DAY) -> ssl.SSLContext:
        """What a receiver needs that goes by *names*, addresses among them."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        certificate = (
            self._builder(x509.Name([]), key, until)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._folder / "receiver.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


def trusting(authority: Authority, *names: str) -> Policy:
    return opened(*names, ca_file=authority.file)


async def fails(receiver: Receiver, policy: Policy, host: str = "hooks.example") -> OutboundFailed:
    async with Outbound(policy, resolver=Names(NAMES)) as outbound:
        with pytest.raises(OutboundFailed) as failed:
            await ask(outbound, receiver.url(host=host, scheme="https"), lines=["Authorization: hunter2"])
        assert receiver.heard == []
    return failed.value


def test_the_name_is_what_is_verified_and_what_is_asked_for(authority: Authority) -> None:
    async def go() -> None:
        asked: list[str | None] = []
        context = authority.serving(["hooks.example"])
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
        async with (
            receiving(says(answer(b"safe")), tls=context) as receiver,
            Outbound(trusting(authority), resolver=Names(NAMES)) as outbound,
        ):
            url = receiver.url(host="Hooks.Example.", scheme="https")
            assert await ask(outbound, url, method="POST", body=bytes(1 << 20)) == (200, b"safe")
            assert asked == ["hooks.example"]
            assert receiver.heard[0].header("host") == f"hooks.example:{receiver.port}"
            assert receiver.heard[0].body == bytes(1 << 20)

    run(go())


def test_an_address_can_have_a_certificate(authority: Authority) -> None:
    async def go() -> None:
        async with (
            receiving(says(answer(b"safe")), tls=authority.serving([HERE])) as receiver,
            Outbound(trusting(authority)) as outbound,
        ):
            assert await ask(outbound, receiver.url(scheme="https")) == (200, b"safe")

    run(go())


def test_a_certificate_of_an_unknown_authority_is_not_trusted(authority: Authority) -> None:
    async def go() -> None:
        async with receiving(says(answer()), tls=authority.serving(["hooks.example"])) as receiver:
            failed = await fails(receiver, opened())
            assert (failed.kind, failed.worth_retrying) == (FailureKind.TLS, False)
            assert "certificate" in failed.text

    run(go())


@pytest.mark.parametrize("names", [["other.example"], ["*.hooks.example"], ["example"], [HERE]])
def test_a_certificate_for_another_name_is_not_trusted(authority: Authority, names: list[str]) -> None:
    async def go() -> None:
        async with receiving(says(answer()), tls=authority.serving(names)) as receiver:
            failed = await fails(receiver, trusting(authority))
            assert failed.kind is FailureKind.TLS
            assert HERE not in failed.text

    run(go())


def test_a_certificate_that_is_over_is_not_trusted(authority: Authority) -> None:
    async def go() -> None:
        async with receiving(says(answer()), tls=authority.serving(["hooks.example"], NOW - DAY)) as receiver:
            assert (await fails(receiver, trusting(authority))).kind is FailureKind.TLS

    run(go())


def test_a_receiver_without_tls_is_none_for_https(authority: Authority) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        await reader.read(100)
        writer.write(answer(b"plain"))
        await writer.drain()

    async def go() -> None:
        async with receiving(plain) as receiver:
            failed = await fails(receiver, trusting(authority))
            assert (failed.kind, failed.text) == (FailureKind.TLS, "the TLS handshake failed")

    run(go())


def test_old_tls_is_not_spoken(authority: Authority) -> None:
    async def go() -> None:
        context = authority.serving(["hooks.example"])
        with warnings.catch_warnings(action="ignore"):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        async with receiving(says(answer()), tls=context) as receiver:
            # whether it says so or just hangs up is up to the receiver
            assert (await fails(receiver, trusting(authority))).kind in {FailureKind.TLS, FailureKind.CONNECTION}

    run(go())


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    await reader.read(1)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
    await reader.read()


@pytest.mark.parametrize(("script", "kind"), [(closes, FailureKind.CONNECTION), (silent, FailureKind.TIMEOUT)])
def test_a_receiver_that_never_gets_to_tls_is_left(authority: Authority, script: Script, kind: FailureKind) -> None:
    async def go() -> None:
        limits = replace(QUICK, connect=0.3)
        async with receiving(script) as receiver, Outbound(trusting(authority), resolver=Names(NAMES)) as outbound:
            with pytest.raises(OutboundFailed) as failed:
                await ask(outbound, receiver.url(host="hooks.example", scheme="https"), limits=limits)
            assert failed.value.kind is kind
            await asyncio.wait_for(receiver.gone.wait(), 10)

    run(go())


def test_the_total_ends_a_handshake_too(authority: Authority) -> None:
    async def go() -> None:
        limits = replace(QUICK, total=0.2)
        async with receiving(silent) as receiver, Outbound(trusting(authority), resolver=Names(NAMES)) as outbound:
            with pytest.raises(OutboundFailed) as failed:
                await ask(outbound, receiver.url(host="hooks.example", scheme="https"), limits=limits)
            assert failed.value.kind is FailureKind.TIMEOUT
            await asyncio.wait_for(receiver.gone.wait(), 10)

    run(go())


def test_a_body_cut_off_under_tls_is_not_taken_for_its_end(authority: Authority) -> None:
    async def go() -> None:
        script = says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        async with (
            receiving(script, tls=authority.serving(["hooks.example"])) as receiver,
            Outbound(trusting(authority), resolver=Names(NAMES)) as outbound,
        ):
            with pytest.raises(OutboundFailed) as failed:
                await ask(outbound, receiver.url(host="hooks.example", scheme="https"))
            assert failed.value.kind is FailureKind.CONNECTION

    run(go())


def test_a_redirect_out_of_tls_leaves_credentials_behind(authority: Authority) -> None:
    async def go() -> None:
        async with (
            receiving(says(answer(b"end"))) as plain,
            receiving(
                says(redirect(plain.url(host="hooks.example"))), tls=authority.serving(["hooks.example"])
            ) as receiver,
            Outbound(trusting(authority), resolver=Names(NAMES)) as outbound,
        ):
            limits = replace(QUICK, redirects=1)
            url = receiver.url(host="hooks.example", scheme="https")
            assert await ask(outbound, url, limits=limits, lines=["Authorization: hunter2"]) == (200, b"end")
            assert receiver.heard[0].header("authorization") == "hunter2"
            assert plain.heard[0].header("authorization") is None

    run(go())


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_of_authorities_that_cannot_be_read_is_told_at_once(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="authorities") as refused:
        Outbound(Policy(ca_file=file))
    assert str(tmp_path) not in str(refused.value)
