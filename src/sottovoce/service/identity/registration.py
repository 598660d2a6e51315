"""Registration, login, and password changes and resets, with their rate limits.

Only a person who reads the mail of an address can find out that it has an account: answers and response times are the same with
and without one. Without a mail server this does not hold for registration, which must reject an address that has an account.

Parts, in order:
- `AccountPolicy`, `Login`, and the attempt limits;
- `AccountService`: registration, login and logout, passwords, shared helpers;
- errors, and helpers that run in a transaction.
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
from sottovoce.service.identity.passwords import Hasher, Hashing
from sottovoce.service.identity.users import Credentials, User
from sottovoce.service.storage.database import Database

_log = logging.getLogger(__name__)

Post = Callable[[Mail], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPolicy:
    """The operator's settings. *public_url*: the base URL of links in mails; without one, mails contain only a code.

    *password_memory*: KiB that the hash of a password takes.
    """

    registration: bool = False
    public_url: str | None = None
    password_memory: int = passwords.SAFE_MEMORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user who has just logged in, and the secret of the new session."""

    user: User
    session: str = field(repr=False)


def login_allowances(email: str, address: str) -> tuple[AttemptLimit, AttemptLimit]:
    """Return the limits: per 15 minutes, 10 attempts for one account and 100 from one client network."""
    return (
        AttemptLimit(purpose="login", who=email, most=10, seconds=900),
        AttemptLimit(purpose="login from", who=network_of(address), most=100, seconds=900),
    )


def _mail_allowances(purpose: str, email: str, address: str) -> tuple[AttemptLimit, AttemptLimit]:
    """Return the limits: per hour, 5 mails to one address and 20 requested from one client network."""
    return (
        AttemptLimit(purpose=purpose, who=email, most=5, seconds=3600),
        AttemptLimit(purpose=f"{purpose} from", who=network_of(address), most=20, seconds=3600),
    )


class AccountService:
    """Accounts in the control database. *post* sends a mail; `None`: no mail server. *address*: always the client's address."""

    def __init__(self, control: Database, policy: AccountPolicy, post: Post | None) -> None:
        self._control = control
        self._policy = policy
        self._post = post
        self._hashing = Hashing(Hasher(policy.password_memory))

    @property
    def policy(self) -> AccountPolicy:
        """The operator's settings."""
        return self._policy

    @property
    def hashing(self) -> Hashing:
        """Hashes passwords, a few at a time in the whole process."""
        return self._hashing

    async def post(self, mail: Mail) -> None:
        """Send *mail*. Raises `RuntimeError` without a mail server."""
        if self._post is None:
            raise RuntimeError("this server sends no mail")
        await self._post(mail)

    @property
    def mails(self) -> bool:
        """True if addresses are verified, and links are sent by mail."""
        return self._post is not None

    # ── registering ──

    async def register(self, email: str, password: str, address: str) -> None:
        """Create an account, and send the link that verifies it. Raises `Refused`."""
        if not self._policy.registration:
            raise Refused(
                Kind.FORBIDDEN, "registration is closed; an operator creates accounts with `sottovoce users add`"
            )
        email = users.normal(email)
        passwords.checked(password, email)
        await self._charge_allowance(_mail_allowances("register", email, address))
        kept = await self._hashing.hashed(password)
        entry, mail = await self._control.write(lambda connection: self._registered(connection, email, kept))
        audit_log.tell(entry)
        if self._post and mail:
            await self._post(mail)

    def _registered(self, connection: sa.Connection, email: str, kept: str) -> tuple[audit_log.Entry, Mail | None]:
        users.forget_unverified(connection)
        user, url = users.by_email(connection, email), self._policy.public_url
        if user is not None and user.state == "unverified":  # without an owner yet: replace the password
            users.set_password(connection, user, kept)
            user = user if self.mails else users.verify(connection, user)
        elif user is not None and self.mails:
            return _recorded(connection, user, "registration repeated"), templates.known(email, url)
        else:
            user = users.add(connection, email=email, password_hash=kept, verified=not self.mails)
        entry = _recorded(connection, user, "account registered", verified=not self.mails)
        if not self.mails:
            return entry, None
        return entry, templates.verify(email, email_links.create(connection, user.id, Purpose.VERIFY), url)

    async def verify(self, secret: str, password: str, address: str) -> Login:
        """Verify the account that the link *secret* was sent for, and log in. Raises `Refused`.

        Requires the password too: otherwise a person who registers another person's address would get the account as soon as
        the owner of the address follows the link.
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
        """Start a session. Raises `Refused`: `UNAUTHENTICATED` for a wrong password and for an unknown address alike."""
        email = users.normal(email)
        allowances = login_allowances(email, address)
        await self._charge_allowance(allowances)
        stored = await self._control.read(
            lambda connection: users.credentials(connection, users.by_email(connection, email))
        )
        found = await self._verify_password(stored, password)
        if found.user.disabled_at is not None:
            raise Refused(Kind.FORBIDDEN, "this account is disabled")
        if found.user.verified_at is None:
            raise Refused(Kind.FORBIDDEN, "this address is not confirmed yet; follow the link in the e-mail")
        outdated = self._hashing.is_outdated(found.password_hash or "")
        new_hash = await self._hashing.hashed(password) if outdated else None

        def began(connection: sa.Connection) -> tuple[audit_log.Entry, Login]:
            if users.credentials(connection, found.user) != found:  # disabled or changed since it was read
                raise _wrong()
            login_throttle.uncount(connection, allowances)
            if new_hash is not None:
                users.rehash(connection, found, new_hash)
            entry = _recorded(connection, found.user, "logged in")
            return entry, Login(user=found.user, session=sessions.create(connection, found.user.id))

        entry, login = await self._control.write(began)
        audit_log.tell(entry)
        return login

    async def log_out(self, session: str) -> None:
        """End the session with the secret *session*, if it exists."""

        def ended(connection: sa.Connection) -> audit_log.Entry | None:
            user_id = sessions.user_for(connection, session)
            user = users.get(connection, user_id) if user_id is not None else None
            sessions.delete(connection, session)
            return _recorded(connection, user, "logged out") if user else None

        if entry := await self._control.write(ended):
            audit_log.tell(entry)

    # ── passwords ──

    async def change_password(self, user: User, session: str, old: str, new: str) -> None:
        """Set the password *new*, and end every other session. Raises `Refused`: `UNAUTHENTICATED` when *old* is wrong."""
        passwords.checked(new, user.email, at="new")
        allowances = (AttemptLimit(purpose="password", who=str(user.id), most=10, seconds=900),)
        await self._charge_allowance(allowances)
        stored = await self._control.read(lambda connection: users.credentials(connection, user))
        found = await self._verify_password(stored, old, at="old")
        kept = await self._hashing.hashed(new)

        def changed(connection: sa.Connection) -> audit_log.Entry:
            if users.credentials(connection, user) != found:
                raise _wrong("old")
            login_throttle.uncount(connection, allowances)
            users.set_password(connection, user, kept, session=session)
            return _recorded(connection, user, "password changed")

        audit_log.tell(await self._control.write(changed))

    async def forgot(self, email: str, address: str) -> str:
        """Accept a request for a password reset, and return the normalised address for `send_link`. Raises `Refused`."""
        if not self.mails:
            why = "this server sends no e-mail; an operator sets a new password with `sottovoce users password`"
            raise Refused(Kind.FORBIDDEN, why)
        email = users.normal(email)
        await self._charge_allowance(_mail_allowances("forgot", email, address))
        return email

    async def send_link(self, email: str) -> None:
        """Send a password reset link if *email* has an account.

        Call it after the request is answered: it takes longer for an existing account, which would reveal that it exists.
        """

        def linked(connection: sa.Connection) -> tuple[audit_log.Entry, Mail] | None:
            user = users.by_email(connection, email)
            if user is None or user.disabled_at is not None:
                return None
            secret = email_links.create(connection, user.id, Purpose.PASSWORD)
            entry = _recorded(connection, user, "password reset requested")
            return entry, templates.reset(email, secret, self._policy.public_url)

        if (found := await self._control.write(linked)) and self._post:
            audit_log.tell(found[0])
            await self._post(found[1])

    async def reset(self, secret: str, password: str) -> None:
        """Set the password of the user who was sent the link *secret*, and end all sessions of the user. Raises `Refused`."""
        found = await self._control.read(lambda connection: _linked(connection, secret, Purpose.PASSWORD))
        passwords.checked(password, found.user.email)
        kept = await self._hashing.hashed(password)

        def done(connection: sa.Connection) -> audit_log.Entry:
            user = _linked(connection, secret, Purpose.PASSWORD).user
            users.set_password(connection, user, kept)
            users.verify(connection, user)  # the link proves that the user reads the mail of this address
            login_throttle.forget(connection, login_allowances(user.email or "", "")[0])
            return _recorded(connection, user, "password reset")

        audit_log.tell(await self._control.write(done))

    # ── shared ──

    async def _charge_allowance(self, allowances: Sequence[AttemptLimit]) -> None:
        await self._control.write(lambda connection: login_throttle.count_attempt(connection, allowances))

    async def _verify_password(self, found: Credentials | None, password: str, *, at: str | None = None) -> Credentials:
        """Return *found* if *password* is correct. Raises `Refused` otherwise; *found* `None` takes the same time."""
        right = await self._hashing.matches(found.password_hash if found else None, password)
        if found is None or not right:
            _log.info("wrong password", extra={"user": found.user.id if found else None})
            raise _wrong(at)
        return found


def _wrong(at: str | None = None) -> Refused:
    return Refused(Kind.UNAUTHENTICATED, "wrong password" if at else "wrong e-mail address or password", at=at)


def _spent_link() -> Refused:
    return Refused(
        Kind.BAD_REQUEST, "the link was used before, has expired, or is unknown; request a new one", at="token"
    )


def _linked(connection: sa.Connection, secret: str, purpose: Purpose) -> Credentials:
    """Return the user who was sent *secret*. Raises `Refused` if the link is not valid, or the user is disabled."""
    user_id = email_links.user_for(connection, secret, purpose)
    found = users.credentials(connection, users.get(connection, user_id)) if user_id is not None else None
    if found is None or found.user.disabled_at is not None:
        raise _spent_link()
    return found


def _recorded(connection: sa.Connection, user: User, action: str, *, verified: bool | None = None) -> audit_log.Entry:
    """Store an audit entry about *action* of *user*, and return it."""
    details = {} if verified is None else {"verified": verified}
    entry = audit_log.Entry(
        actor=user.actor, action=action, target=str(user.id), workspace_id=user.workspace_id, details=details
    )
    audit_log.record(connection, entry)
    return entry
