"""Mail addresses: they come from strangers, and go into headers."""

from email.headerregistry import Address


def mail_address(text: str) -> Address:
    """*text* as one plain address `name@host`. Raises ValueError."""
    try:
        parsed = Address(addr_spec=text)
    except Exception as error:  # the parser of the standard library raises more than it says
        raise ValueError("not a mail address") from error
    if not parsed.username or not parsed.domain or not text.isprintable():
        raise ValueError("not a mail address")
    return parsed
