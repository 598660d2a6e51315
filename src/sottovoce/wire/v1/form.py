"""What a V1 form asks for (contract `legacy-v1.md` §2.5, §6), and how it is kept beside the job."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from sottovoce.errors import Kind, Refused
from sottovoce.wire.email_address import mail_address

MAX_META = 1024
"""Characters (contract §2.5)."""
MAX_URL = 4096
MAX_EMAIL = 254
"""Characters that a mail server takes (RFC 5321 §4.5.3.1.3)."""
MAX_VERSION = 100
_LOCALES = {"en": ("en-US", "en-GB", "en-AU")}
_DIGITS = 18
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Notify(StrEnum):
    """How the owner is told of the end."""

    EMAIL = "email"
    CALLBACK = "callback"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A value of `model`: *name* as V1 shows it, and the language pack and spelling that it stands for."""

    name: str
    language: str
    locale: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyRequest:
    """What V1 knows of a job and V2 has no place for. *email* is where mails go, if anywhere."""

    model: str
    notification: Notify = Notify.EMAIL
    email: str | None = None
    callback: str | None = None
    meta: str | None = None
    diarisation: bool = True
    version: str | None = None  # of beta testers' language models (§2.5): kept, not heeded


def products(languages: Iterable[str]) -> dict[str, Product]:
    """Every product that *languages* (codes of language packs) make available, by its name in lower case."""
    found: dict[str, Product] = {}
    for language in languages:
        found[language.lower()] = Product(name=language, language=language)
        for locale in _LOCALES.get(language, ()):
            found[locale.lower()] = Product(name=locale, language=language, locale=locale)
    return found


def parse(fields: Mapping[str, bytes], available: Mapping[str, Product]) -> tuple[LegacyRequest, Product]:
    """The request of a form whose files are there, checked in the contract's order (§6). Raises `Refused`."""
    text = {name: _text(value) for name, value in fields.items() if name in _KNOWN}
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


_KNOWN = frozenset({
    "model", "notification", "notification_email_address", "callback", "meta", "diarisation", "version"
})  # fmt: skip


def _malformed(at: str, why: str) -> Refused:
    return Refused(Kind.MALFORMED, why, at=at)


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise Refused(Kind.MALFORMED, "a field is not UTF-8") from error
    if "\0" in text:  # not every database takes it
        raise Refused(Kind.MALFORMED, "a field holds a NUL")
    return text


def _notification(text: str) -> Notify:
    try:
        return Notify(text.strip() or "email")
    except ValueError as error:
        raise _malformed("notification", "one of email, callback, none") from error


def _boolean(text: str) -> bool:
    known = {"true": True, "false": False}
    if (value := known.get(text.strip().lower())) is None:
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


# ── beside the job ──


def dump(request: LegacyRequest) -> bytes:
    """*request* as it is kept, before it is sealed."""
    return json.dumps(asdict(request)).encode()


def load(stored: bytes) -> LegacyRequest:
    """What `dump` made. Raises `ValueError`."""
    plain = json.loads(stored)
    try:
        return LegacyRequest(**{**plain, "notification": Notify(plain["notification"])})
    except (KeyError, TypeError) as error:
        raise ValueError("not what V1 keeps of a job") from error


def as_v2(request: LegacyRequest, product: Product, *, locale: bool) -> dict[str, Any]:
    """The same job in V2's words (contract §7). *locale*: whether this server can spell as the product's name says."""
    config: dict[str, Any] = {"language": product.language}
    if locale and product.locale is not None:
        config["output_locale"] = product.locale
    config["diarization"] = "speaker" if request.diarisation else "none"
    body: dict[str, Any] = {"type": "transcription", "transcription_config": config}
    if request.meta is not None:
        body["tracking"] = {"details": {"meta": request.meta}}
    return body


def as_v2_alignment(request: LegacyRequest, product: Product) -> dict[str, Any]:
    """The same for a form with a text."""
    body: dict[str, Any] = {"type": "alignment", "alignment_config": {"language": product.language}}
    if request.meta is not None:
        body["tracking"] = {"details": {"meta": request.meta}}
    return body


# ── queries ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of many: the *limit* most recent, made from *since* on and before *before* (epoch ms)."""

    limit: int | None = None
    since: int | None = None
    before: int | None = None


def selection(query: Mapping[str, str]) -> Selection:
    """`limit`, `startdate` (inclusive) and `enddate` (exclusive), both at 00:00 UTC (contract §2.2, §6). Raises `Refused`."""
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
