"""The form of a V1 job (contract `legacy-v1.md` §2.5, §6).

In order: parsing of the form; the stored form and the V2 config of the same job; the queries of lists.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import orjson

from sottovoce.errors import Kind, Refused
from sottovoce.wire.email_address import mail_address
from sottovoce.wire.v2.unknown_members import unknown_names

MAX_META = 1024
"""Characters of `meta` (contract §2.5)."""
MAX_URL = 4096  # characters of `callback`
MAX_EMAIL = 254
"""Characters of an address that a mail server accepts (RFC 5321 §4.5.3.1.3)."""
MAX_VERSION = 100  # characters of `version`; the rest is cut off
_LOCALES = {"en": ("en-US", "en-GB", "en-AU")}
_DIGITS = 18  # of `limit`, so that it fits into 64 bits
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Notify(StrEnum):
    """How the owner is notified of the end of the job."""

    EMAIL = "email"
    CALLBACK = "callback"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A value of `model`: *name* as V1 shows it, with its language pack and output locale."""

    name: str
    language: str
    locale: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyRequest:
    """The fields of a V1 job that a V2 job does not have. *email*: the address for mails, if the caller gave one."""

    model: str
    notification: Notify = Notify.EMAIL
    email: str | None = None
    callback: str | None = None
    meta: str | None = None
    diarisation: bool = True
    version: str | None = None  # of beta testers' language models (§2.5): stored and ignored


def products(languages: Iterable[str]) -> dict[str, Product]:
    """The products of *languages* (codes of language packs), by name in lower case."""
    found: dict[str, Product] = {}
    for language in languages:
        found[language.lower()] = Product(name=language, language=language)
        for locale in _LOCALES.get(language, ()):
            found[locale.lower()] = Product(name=locale, language=language, locale=locale)
    return found


def parse(fields: Mapping[str, bytes], available: Mapping[str, Product]) -> tuple[LegacyRequest, Product]:
    """The request in the *fields* of a form, checked in the order of the contract (§6); the caller checks the files first.

    Raises `Refused`.
    """
    text = {name: _text(value) for name, value in fields.items() if name in _FIELDS}
    if not (model := text.get("model", "").strip()):
        raise Refused(Kind.NO_LANGUAGE)
    if (product := available.get(model.lower())) is None:
        raise Refused(Kind.PRODUCT_NOT_AVAILABLE, f"there is no {model[:40]!r}", at="model")
    notification = _notification(text.get("notification", ""))
    callback = text.get("callback", "").strip()
    if notification is Notify.CALLBACK and not callback:
        raise Refused(Kind.MISSING_CALLBACK)
    if len(callback) > MAX_URL:
        raise _malformed("callback", f"at most {MAX_URL} characters")
    meta = text.get("meta")
    if meta is not None and len(meta) > MAX_META:
        raise _malformed("meta", f"at most {MAX_META} characters")
    address = text.get("notification_email_address", "").strip() if notification is Notify.EMAIL else ""
    wanted = LegacyRequest(
        model=product.name,
        notification=notification,
        email=_email(address) if address else None,
        callback=callback or None,
        meta=meta,
        diarisation=_boolean(text.get("diarisation", "true")),
        version=text.get("version", "")[:MAX_VERSION] or None,
    )
    return wanted, product


_FIELDS = frozenset({
    "model", "notification", "notification_email_address", "callback", "meta", "diarisation", "version"
})  # fmt: skip


def unknown_fields(names: Iterable[str]) -> list[str]:
    """One sentence for each field name of a form that has no effect, with the nearest known name, for the job's log."""
    return unknown_names(names, _FIELDS | {"data_file", "text_file", "auth_token"}, "form field")


def _malformed(at: str, why: str) -> Refused:
    return Refused(Kind.MALFORMED, why, at=at)


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise Refused(Kind.MALFORMED, "a field is not UTF-8") from error
    if "\0" in text:  # PostgreSQL cannot store it
        raise Refused(Kind.MALFORMED, "a field holds a NUL")
    return text


def _notification(text: str) -> Notify:
    try:
        return Notify(text.strip() or "email")
    except ValueError as error:
        raise _malformed("notification", "one of email, callback, none") from error


def _boolean(text: str) -> bool:
    values = {"true": True, "false": False}
    if (value := values.get(text.strip().lower())) is None:
        raise _malformed("diarisation", "true or false")
    return value


def _email(text: str) -> str:
    try:
        mail_address(text)
    except ValueError as error:
        raise _malformed("notification_email_address", str(error)) from error
    if len(text) > MAX_EMAIL:
        raise _malformed("notification_email_address", "too long")
    return text


# ── the stored form, and the V2 config of the same job ──


def dump(request: LegacyRequest) -> bytes:
    """The stored form of *request*, before encryption."""
    return json.dumps(asdict(request)).encode()


def load(stored: bytes) -> LegacyRequest:
    """The request from the bytes that `dump` returned. Raises `ValueError`."""
    plain = json.loads(stored)
    try:
        return LegacyRequest(**{**plain, "notification": Notify(plain["notification"])})
    except (KeyError, TypeError) as error:
        raise ValueError("not a stored V1 request") from error


def from_v2(config: bytes, language: str) -> LegacyRequest:
    """The request of a V2 job, as V1 shows it (§7), from its submitted *config*, which was checked at the submission."""
    value = orjson.loads(config)
    details = _member(_member(value, "tracking"), "details")
    meta = details.get("meta")
    locale = _member(value, "transcription_config").get("output_locale")
    return LegacyRequest(
        model=locale if isinstance(locale, str) else language,
        notification=Notify.CALLBACK if value.get("notification_config") else Notify.NONE,
        meta=meta if isinstance(meta, str) and len(meta) <= MAX_META else None,
    )


def _member(config: dict[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def as_v2(request: LegacyRequest, product: Product, *, locale: bool) -> dict[str, Any]:
    """The V2 config of the same job (contract §7). *locale*: True if this server supports the product's output locale."""
    config: dict[str, Any] = {"language": product.language}
    if locale and product.locale is not None:
        config["output_locale"] = product.locale
    config["diarization"] = "speaker" if request.diarisation else "none"
    body: dict[str, Any] = {"type": "transcription", "transcription_config": config}
    if request.meta is not None:
        body["tracking"] = {"details": {"meta": request.meta}}
    return body


def as_v2_alignment(request: LegacyRequest, product: Product) -> dict[str, Any]:
    """The V2 config of the same alignment job, for a form with a text."""
    body: dict[str, Any] = {"type": "alignment", "alignment_config": {"language": product.language}}
    if request.meta is not None:
        body["tracking"] = {"details": {"meta": request.meta}}
    return body


# ── queries ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A filter of a list: the *limit* most recent entries created at *since* or later and before *before* (epoch ms)."""

    limit: int | None = None
    since: int | None = None
    before: int | None = None


def selection(query: Mapping[str, str]) -> Selection:
    """The filter from `limit`, `startdate` (inclusive) and `enddate` (exclusive), dates at 00:00 UTC (contract §2.2, §6).

    Raises `Refused`.
    """
    return Selection(
        limit=_limit(query.get("limit", "")), since=_day(query, "startdate"), before=_day(query, "enddate")
    )


def _limit(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise _malformed("limit", "a whole number")
    return int(text)


def _day(query: Mapping[str, str], name: str) -> int | None:
    if not (text := query.get(name, "")):
        return None
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise _malformed(name, "YYYY-MM-DD")
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
