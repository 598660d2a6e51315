"""Mails about an account: what they say. Nothing in them is a stranger's word, so that nobody sends mail of theirs through us."""

from urllib.parse import quote

from sottovoce.service.email.smtp import Mail


def verify(to: str, secret: str, public_url: str | None) -> Mail:
    """To whoever registered: how to show that the address is theirs."""
    body = (
        "Somebody, probably you, has registered with this address. To open the account, confirm the address within 24 hours"
        f" with the password that was chosen.\n\n{_ways(secret, public_url, 'verify')}\n\n"
        "If it was not you, do nothing: the account is not opened without you."
    )
    return Mail(to=to, subject="Confirm your address", body=body)


def known(to: str, public_url: str | None) -> Mail:
    """To whoever registered with the address of an account."""
    where = f"\n\n{public_url.rstrip('/')}/" if public_url else ""
    body = (
        "Somebody, probably you, wanted to register with this address. It has an account already: log in with its password, or ask"
        f" for a new one if you have forgotten it.{where}\n\nIf it was not you, do nothing: the account is as it was."
    )
    return Mail(to=to, subject="You have an account already", body=body)


def reset(to: str, secret: str, public_url: str | None) -> Mail:
    """To whoever forgot the password: how to set a new one."""
    body = (
        "Somebody, probably you, has asked for a new password for the account with this address. It can be set within an hour.\n\n"
        f"{_ways(secret, public_url, 'reset')}\n\n"
        "If it was not you, do nothing: the old password stays."
    )
    return Mail(to=to, subject="A new password", body=body)


def _ways(secret: str, public_url: str | None, page: str) -> str:
    """The code, and a link where the operator has said how the server is called.

    What a request calls it is not believed: a stranger could have a link of theirs sent to others, and read the code from it.
    """
    code = f"Your code: {secret}"
    return f"{public_url.rstrip('/')}/account/{page}?token={quote(secret)}\n\n{code}" if public_url else code
