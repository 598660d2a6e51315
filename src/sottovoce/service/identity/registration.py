"""Registering, logging in, and passwords that were forgotten: what a stranger may ask for, and how often.

Whether an address has an account is told to nobody who does not read its mail: answers and their times are the same. That holds
for registering where a mail server is known; without one there is nothing else to say to whoever takes an address that is taken.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.email import templates
from sottovoce.service.email.smtp import Mail
from sottovoce.service.identity import audit_log, email_links, login_throttle, passwords, sessions, users
from sottovoce.service.identity.email_links import Purpose
from sottovoce.service.identity.login_throttle import AttemptLimit, network_of
from sottovoce.service.identity.passwords import Hashing
from sottovoce.service.identity.users import Credentials, User
from sottovoce.service.storage.database import Database

_log = logging.getLogger(__name__)

Post = Callable[[Mail], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPolicy:
    """What an operator has decided. *public_url*: how the server is called in links; without one mails have a code alone."""

    registration: bool = False
    public_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user who has just logged in, and the secret of the session."""

    user: User
    session: str = field(repr=False)


def login_allowances(email: str, address: str) -> tuple[AttemptLimit, AttemptLimit]:
    """Ten passwords for one account in a quarter of an hour, a hundred from one place."""
    return (
        AttemptLimit(purpose="login", who=email, most=10, seconds=900),
        AttemptLimit(purpose="login from", who=network_of(address), most=100, seconds=900),
    )


def _mail_allowances(purpose: str, email: str, address: str) -> tuple[AttemptLimit, AttemptLimit]:
    """Five mails an hour to one address, twenty asked for from one place."""
    return (
        AttemptLimit(purpose=purpose, who=email, most=5, seconds=3600),
        AttemptLimit(purpose=f"{purpose} from", who=network_of(address), most=20, seconds=3600),
    )


class AccountService:
    """Over the control database. *post* sends a mail; `None`: no mail server is known. *address* is always the client's."""

    def __init__(self, control: Database, house: AccountPolicy, post: Post | None) -> None:
        self._control = control
        self._house = house
        self._post = post
        self._hashing = Hashing()

    @property
    def mails(self) -> bool:
        """Whether addresses are verified, and links sent."""
        return self._post is not None

    # ── registering ──

    async def register(self, email: str, password: str, address: str) -> None:
        """Make an account, and send the link that opens it. Raises `Refused`."""
        if not self._house.registration:
            raise Refused(
                Kind.FORBIDDEN, "registration is closed; an operator makes accounts with `sottovoce users add`"
            )
        email = users.normal(email)
        passwords.checked(password, email)
        await self._charge_allowance(_mail_allowances("register", email, address))
        kept = await self._hashing.hashed(password)
        entry, letter = await self._control.write(lambda connection: self._registered(connection, email, kept))
        audit_log.tell(entry)
        if self._post and letter:
            await self._post(letter)

    def _registered(self, connection: sa.Connection, email: str, kept: str) -> tuple[audit_log.Entry, Mail | None]:
        users.forget_unverified(connection)
        user, url = users.by_email(connection, email), self._house.public_url
        if user is not None and user.state == "unverified":  # it is nobody's yet: the latest to ask for it counts
            users.set_password(connection, user, kept)
            user = user if self.mails else users.verify(connection, user)
        elif user is not None and self.mails:
            return _recorded(connection, user, "account asked for again"), templates.known(email, url)
        else:
            user = users.add(connection, email=email, password_hash=kept, verified=not self.mails)
        entry = _recorded(connection, user, "account registered", verified=not self.mails)
        if not self.mails:
            return entry, None
        return entry, templates.verify(email, email_links.create(connection, user.id, Purpose.VERIFY), url)

    async def verify(self, secret: str, password: str, address: str) -> Login:
        """Open the account that the link *secret* was sent for, and log in. Raises `Refused`.

        The password is wanted too: else whoever registers with somebody's address would have the account once its owner
        follows the link.
        """
        found = await self._control.read(lambda connection: _linked(connection, secret, Purpose.VERIFY))
        allowances = login_allowances(found.user.email or "", address)
        await self._charge_allowance(allowances)
        await self._verify_password(found, password)

        def opened(connection: sa.Connection) -> tuple[audit_log.Entry, Login]:
            if _linked(connection, secret, Purpose.VERIFY) != found:
                raise _spent_link()
            user = users.verify(connection, found.user)
            login_throttle.uncount(connection, allowances)
            entry = _recorded(connection, user, "account verified")
            return entry, Login(user=user, session=sessions.create(connection, user.id))

        entry, login = await self._control.write(opened)
        audit_log.tell(entry)
        return login

    # ── logging in and out ──

    async def log_in(self, email: str, password: str, address: str) -> Login:
        """Begin a session. Raises `Refused`: `UNAUTHENTICATED` for a wrong password and for a wrong address alike."""
        email = users.normal(email)
        allowances = login_allowances(email, address)
        await self._charge_allowance(allowances)
        known = await self._control.read(
            lambda connection: users.credentials(connection, users.by_email(connection, email))
        )
        found = await self._verify_password(known, password)
        if found.user.disabled_at is not None:
            raise Refused(Kind.FORBIDDEN, "this account is disabled")
        if found.user.verified_at is None:
            raise Refused(Kind.FORBIDDEN, "this address is not confirmed yet; follow the link in the mail")
        cheap = passwords.is_cheap(found.password_hash or "")
        anew = await self._hashing.hashed(password) if cheap else None

        def began(connection: sa.Connection) -> tuple[audit_log.Entry, Login]:
            if users.credentials(connection, found.user) != found:  # disabled, or another password, meanwhile
                raise _wrong()
            login_throttle.uncount(connection, allowances)
            if anew is not None:
                users.rehash(connection, found, anew)
            entry = _recorded(connection, found.user, "logged in")
            return entry, Login(user=found.user, session=sessions.create(connection, found.user.id))

        entry, login = await self._control.write(began)
        audit_log.tell(entry)
        return login

    async def log_out(self, session: str) -> None:
        """End the session with the secret *session*, if there is one."""

        def ended(connection: sa.Connection) -> audit_log.Entry | None:
            user_id = sessions.user_for(connection, session)
            user = users.get(connection, user_id) if user_id is not None else None
            sessions.delete(connection, session)
            return _recorded(connection, user, "logged out") if user else None

        if entry := await self._control.write(ended):
            audit_log.tell(entry)

    # ── passwords ──

    async def change_password(self, user: User, session: str, old: str, new: str) -> None:
        """Another password; ends every other session. Raises `Refused`: `UNAUTHENTICATED` when *old* is wrong."""
        passwords.checked(new, user.email, at="new")
        allowances = (AttemptLimit(purpose="password", who=str(user.id), most=10, seconds=900),)
        await self._charge_allowance(allowances)
        known = await self._control.read(lambda connection: users.credentials(connection, user))
        found = await self._verify_password(known, old, at="old")
        kept = await self._hashing.hashed(new)

        def changed(connection: sa.Connection) -> audit_log.Entry:
            if users.credentials(connection, user) != found:
                raise _wrong("old")
            login_throttle.uncount(connection, allowances)
            users.set_password(connection, user, kept, session=session)
            return _recorded(connection, user, "password changed")

        audit_log.tell(await self._control.write(changed))

    async def forgot(self, email: str, address: str) -> str:
        """Take the wish for a new password: the address for `send_link`. Raises `Refused`."""
        if not self.mails:
            why = "this server sends no mail; an operator sets a new password with `sottovoce users password`"
            raise Refused(Kind.FORBIDDEN, why)
        email = users.normal(email)
        await self._charge_allowance(_mail_allowances("forgot", email, address))
        return email

    async def send_link(self, email: str) -> None:
        """Send whoever has an account a link for a new password. Once that was answered: it takes longer than for nobody."""

        def linked(connection: sa.Connection) -> tuple[audit_log.Entry, Mail] | None:
            user = users.by_email(connection, email)
            if user is None or user.disabled_at is not None:
                return None
            secret = email_links.create(connection, user.id, Purpose.PASSWORD)
            entry = _recorded(connection, user, "new password asked for")
            return entry, templates.reset(email, secret, self._house.public_url)

        if (found := await self._control.write(linked)) and self._post:
            audit_log.tell(found[0])
            await self._post(found[1])

    async def reset(self, secret: str, password: str) -> None:
        """Set the password of whoever was sent the link *secret*, and log them out everywhere. Raises `Refused`."""
        found = await self._control.read(lambda connection: _linked(connection, secret, Purpose.PASSWORD))
        passwords.checked(password, found.user.email)
        kept = await self._hashing.hashed(password)

        def done(connection: sa.Connection) -> audit_log.Entry:
            user = _linked(connection, secret, Purpose.PASSWORD).user
            users.set_password(connection, user, kept)
            users.verify(connection, user)  # who has the link reads the mail
            login_throttle.forget(connection, login_allowances(user.email or "", "")[0])
            return _recorded(connection, user, "password reset")

        audit_log.tell(await self._control.write(done))

    # ── shared ──

    async def _charge_allowance(self, allowances: Sequence[AttemptLimit]) -> None:
        await self._control.write(lambda connection: login_throttle.count_attempt(connection, allowances))

    async def _verify_password(self, found: Credentials | None, password: str, *, at: str | None = None) -> Credentials:
        """*found*, whose password this is. Raises `Refused`, after the same time when there is nobody."""
        right = await self._hashing.matches(found.password_hash if found else None, password)
        if found is None or not right:
            _log.info("wrong password", extra={"user": found.user.id if found else None})
            raise _wrong(at)
        return found


def _wrong(at: str | None = None) -> Refused:
    return Refused(Kind.UNAUTHENTICATED, "wrong password" if at else "wrong e-mail address or password", at=at)


def _spent_link() -> Refused:
    return Refused(Kind.BAD_REQUEST, "was used, is too old, or never was; ask for another", at="token")


def _linked(connection: sa.Connection, secret: str, purpose: Purpose) -> Credentials:
    """Who was sent *secret*. Raises `Refused` when it is not good (any more)."""
    user_id = email_links.user_for(connection, secret, purpose)
    found = users.credentials(connection, users.get(connection, user_id)) if user_id is not None else None
    if found is None or found.user.disabled_at is not None:
        raise _spent_link()
    return found


def _recorded(connection: sa.Connection, user: User, action: str, *, verified: bool | None = None) -> audit_log.Entry:
    """The entry about what *user* did, kept."""
    details = {} if verified is None else {"verified": verified}
    entry = audit_log.Entry(
        actor=user.actor, action=action, target=str(user.id), workspace_id=user.workspace_id, details=details
    )
    audit_log.record(connection, entry)
    return entry
