"""The pages of the portal. They are shells without data: scripts in them ask the public API."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sottovoce.errors import Kind, Refused
from sottovoce.service import regions
from sottovoce.service.identity import users
from sottovoce.service.runtime import Runtime
from sottovoce.web import auth
from sottovoce.web.api import account
from sottovoce.web.portal.assets import page
from sottovoce.web.routing import Route

SIGN_IN = "/portal/sign-in"


class Pages:
    """The pages over one runtime."""

    def __init__(self, runtime: Runtime, here: regions.Region, *, registration: bool) -> None:
        self._registration = registration
        self._mails = runtime.plan.task_settings.send.smtp is not None
        self._signs = runtime.plan.task_settings.send.signing is not None
        self._control = runtime.control
        self._region = here

    async def home(self, request: Request) -> Response:
        """`GET /`: the jobs of a person who is signed in, else the way to the sign-in page."""
        if not await self._signed_in(request):
            return RedirectResponse(SIGN_IN, 303, headers={"cache-control": "no-store"})
        return self._page("jobs.html")

    async def sign_in(self, _request: Request) -> Response:
        """`GET /portal/sign-in`: with an account, or with an API key."""
        accounts = await self._control.read(users.any_can_log_in)
        return self._page("sign-in.html", accounts=accounts, registration=self._registration, mails=self._mails)

    async def job(self, request: Request) -> Response:
        """`GET /portal/jobs/{job_id}`: the transcript of a job."""
        job_id = request.path_params["job_id"]
        if not (job_id.isascii() and job_id.isalnum()):
            raise Refused(Kind.PAGE_NOT_FOUND)
        return await self._shell(request, "job.html", job_id=job_id)

    async def live(self, request: Request) -> Response:
        """`GET /portal/live`: captions of what is said now."""
        return await self._shell(request, "live.html")

    async def keys(self, request: Request) -> Response:
        """`GET /portal/keys`: keys, temporary keys and projects."""
        return await self._shell(request, "keys.html", signs=self._signs)

    async def usage(self, request: Request) -> Response:
        """`GET /portal/usage`: charts and tables of the usage."""
        return await self._shell(request, "usage.html")

    async def account(self, request: Request) -> Response:
        """`GET /portal/account`: password and sessions of an account."""
        return await self._shell(request, "account.html", mails=self._mails)

    async def members(self, request: Request) -> Response:
        """`GET /portal/members`: the people of the workspace, and their roles."""
        return await self._shell(request, "members.html")

    async def audit(self, request: Request) -> Response:
        """`GET /portal/audit`: who changed what in the workspace."""
        return await self._shell(request, "audit.html")

    async def health(self, request: Request) -> Response:
        """`GET /portal/health`: the state of the server, for its operator."""
        return await self._shell(request, "health.html")

    async def overlay(self, _request: Request) -> Response:
        """`GET /portal/live/overlay`: captions alone, which the page of live captions in the same browser sends."""
        return self._page("overlay.html")

    async def _shell(self, request: Request, template: str, **values: object) -> Response:
        """The page *template* for a person who is signed in, else the way to the sign-in page and back."""
        if not await self._signed_in(request):
            return RedirectResponse(f"{SIGN_IN}?to={request.url.path}", 303, headers={"cache-control": "no-store"})
        return self._page(template, **values)

    async def _signed_in(self, request: Request) -> bool:
        """False: the person must sign in. True: a cookie is there; the first request of the page tells if it is still valid."""
        if auth.cookie(self._region.name) in request.cookies:
            return True
        return await account.session_user(request, self._control) is not None

    def _page(self, template: str, **values: object) -> Response:
        return page(template, region=self._region.name, region_label=self._region.label, **values)


def routes(runtime: Runtime, here: regions.Region, *, registration: bool) -> list[Route]:
    """The routes of the pages. *registration*: people may create accounts."""
    pages = Pages(runtime, here, registration=registration)
    return [
        Route(path="/", handlers={"GET": pages.home}),
        Route(path=SIGN_IN, handlers={"GET": pages.sign_in}),
        Route(path="/portal/jobs/{job_id}", handlers={"GET": pages.job}),
        Route(path="/portal/live", handlers={"GET": pages.live}),
        Route(path="/portal/keys", handlers={"GET": pages.keys}),
        Route(path="/portal/usage", handlers={"GET": pages.usage}),
        Route(path="/portal/account", handlers={"GET": pages.account}),
        Route(path="/portal/members", handlers={"GET": pages.members}),
        Route(path="/portal/audit", handlers={"GET": pages.audit}),
        Route(path="/portal/health", handlers={"GET": pages.health}),
        Route(path="/portal/live/overlay", handlers={"GET": pages.overlay}),
    ]
