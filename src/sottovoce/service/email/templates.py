"""Texts of e-mails about an account. They contain no text from a request, so that the server cannot be used to send spam."""

from urllib.parse import quote

from sottovoce.service.email.smtp import Mail


def verify(to: str, secret: str, public_url: str | None) -> Mail:
    """Return the mail that asks a new user to verify the address."""
    body = (
        "An account was registered with this e-mail address. To activate it, confirm the address within 24 hours, with the"
        f" password that was chosen at registration.\n\n{_code_and_link(secret, public_url, 'verify')}\n\n"
        "If you did not register, ignore this e-mail: the account stays inactive."
    )
    return Mail(to=to, subject="Confirm your address", body=body)


def known(to: str, public_url: str | None) -> Mail:
    """Return the mail for a registration with an address that has an account already."""
    link = f"\n\n{public_url.rstrip('/')}/" if public_url else ""
    body = (
        "A registration with this e-mail address was requested, but the address has an account already. Log in with your"
        f" password, or request a new one if you have forgotten it.{link}\n\n"
        "If you did not request this, ignore this e-mail: the account is unchanged."
    )
    return Mail(to=to, subject="You have an account already", body=body)


def reset(to: str, secret: str, public_url: str | None) -> Mail:
    """Return the mail that lets a user set a new password."""
    body = (
        "A new password was requested for the account with this e-mail address. Set it within one hour.\n\n"
        f"{_code_and_link(secret, public_url, 'reset')}\n\n"
        "If you did not request this, ignore this e-mail: your password stays the same."
    )
    return Mail(to=to, subject="A new password", body=body)


def invited(to: str, secret: str, public_url: str | None) -> Mail:
    """Return the mail that invites a person to the workspace of another user."""
    body = (
        "You are invited to a workspace of a transcription server. To accept, choose a password within seven days.\n\n"
        f"{_code_and_link(secret, public_url, 'join')}\n\n"
        "If you did not expect this invitation, ignore this e-mail: no account is made."
    )
    return Mail(to=to, subject="An invitation", body=body)


def invited_elsewhere(to: str) -> Mail:
    """Return the mail for an invitation of an address that has an account already."""
    body = (
        "You are invited to a workspace of a transcription server, but this e-mail address has an account already, which belongs"
        " to another workspace. Ask the person who invited you to invite another address.\n\n"
        "If you did not expect this invitation, ignore this e-mail: your account is unchanged."
    )
    return Mail(to=to, subject="An invitation", body=body)


def _code_and_link(secret: str, public_url: str | None, page: str) -> str:
    """Return the code, and a link if the operator has set *public_url*.

    The Host header of the request is not used: an attacker could choose it, have a link to another server sent, and read the
    code from it.
    """
    code = f"Your code: {secret}"
    return f"{public_url.rstrip('/')}/account/{page}?token={quote(secret)}\n\n{code}" if public_url else code
