"""Validation of mail addresses. Callers supply them and they are written into mail headers."""

from email.headerregistry import Address


def mail_address(text: str) -> Address:
    """*text* as one plain address `name@host`. Raises ValueError."""
    try:
        parsed = Address(addr_spec=text)
    except Exception as error:  # the parser raises more exception types than it documents
        raise ValueError("not a mail address") from error
    if not parsed.username or not parsed.domain or not text.isprintable():
        raise ValueError("not a mail address")
    return parsed
