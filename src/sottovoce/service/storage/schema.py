"""The tables of both databases, as the migrations create them. Instants are epoch milliseconds, UTC.

Parts, in order:
- the control database: accounts, credits, projects, keys, copies of usage, the audit log;
- the region database: counters, jobs, their events, deliveries, usage, token buckets, workers, realtime sessions.
"""

import sqlalchemy as sa

control = sa.MetaData()
region = sa.MetaData()

# ── control: accounts and permissions of all regions. It contains no file names and no texts of media. ──

workspaces = sa.Table(
    "workspaces",
    control,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("balance", sa.BigInteger, nullable=False, server_default="0"),  # always the sum of its credit entries
    sa.Column("retention_ms", sa.BigInteger),  # of its jobs after their end; NULL: the region's setting
    sa.Column("regions", sa.JSON(none_as_null=True)),  # names of the regions that serve it; NULL: all
)

users = sa.Table(
    "users",
    control,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("email", sa.Text, unique=True),
    sa.Column("password_hash", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("disabled_at", sa.BigInteger),
    sa.Column("verified_at", sa.BigInteger),  # when the address was verified
    sa.Column("role", sa.Text, nullable=False, server_default="admin"),  # admin | member
)

invitations = sa.Table(  # to become a user of a workspace; an open one for each address
    "invitations",
    control,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("secret_sha256", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    sa.UniqueConstraint("workspace_id", "email", name="invitations_once"),
)

sessions = sa.Table(  # login sessions
    "sessions",
    control,
    sa.Column("secret_sha256", sa.Text, primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

mail_links = sa.Table(  # valid once: to verify an address, or to set a new password
    "mail_links",
    control,
    sa.Column("secret_sha256", sa.Text, primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("purpose", sa.Text, nullable=False),  # verify | password
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

throttles = sa.Table(  # counts of attempts; *subject* is a digest of purpose and user, address or network
    "throttles",
    control,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False, index=True),
)

credit_entries = sa.Table(  # append-only; whole credits
    "credit_entries",
    control,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # added | removed | hold | settled | refund | withdrawn
    sa.Column("region", sa.Text),  # of the job; NULL for an operator's entry
    sa.Column("job_id", sa.Text),
    sa.Column("round", sa.Integer, nullable=False, server_default="0"),  # grows when a job is retried after its end
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("region", "job_id", "kind", "round", name="credit_entries_once"),
    sa.Index("credit_entries_newest", "workspace_id", "seq"),
)

credit_holds = sa.Table(  # open holds
    "credit_holds",
    control,
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),  # above zero
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
)

projects = sa.Table(
    "projects",
    control,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("is_default", sa.Boolean, nullable=False, default=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("deleted_at", sa.BigInteger),
)

api_keys = sa.Table(
    "api_keys",
    control,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False, index=True),
    sa.Column("user_id", sa.ForeignKey("users.id")),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("secret_sha256", sa.Text, nullable=False, unique=True),
    sa.Column("client_ref", sa.Text),
    sa.Column("manages", sa.Boolean, nullable=False, server_default=sa.false()),  # keys and projects of its workspace
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

signing_keys = sa.Table(  # of temporary keys; each region signs with its own
    "signing_keys",
    control,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, nullable=False, index=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("private_key", sa.LargeBinary),  # encrypted; NULL once the key is retired
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("retired_at", sa.BigInteger),
)

usage = sa.Table(  # copies of the regions' usage records; without names and texts
    "usage",
    control,
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Integer, nullable=False),
    sa.Column("project_id", sa.Integer, nullable=False),
    sa.Column("day", sa.Integer, nullable=False),  # of the job's end: days since 1970-01-01, UTC
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("operating_point", sa.Text, nullable=False),
    sa.Column("duration_ms", sa.BigInteger, nullable=False),
    sa.Column("app", sa.Text),
    sa.Index("usage_days", "workspace_id", "day"),
)

audit_log = sa.Table(
    "audit_log",
    control,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False),  # `<key>`, `<key>/<temporary key>`, `user <id>` or `operator`
    sa.Column("workspace_id", sa.Integer),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Index("audit_log_newest", "workspace_id", "seq"),
)

# ── region: jobs and their data ──

counters = sa.Table(
    "counters",
    region,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

jobs = sa.Table(
    "jobs",
    region,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("v1_id", sa.BigInteger, nullable=False, unique=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("workspace_id", sa.Integer, nullable=False),
    sa.Column("project_id", sa.Integer, nullable=False),
    sa.Column("user_id", sa.Integer),
    sa.Column("key_id", sa.Text),
    sa.Column("client_ref", sa.Text),
    sa.Column("api", sa.Text, nullable=False),  # v2 | v1
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("operating_point", sa.Text, nullable=False),
    sa.Column("config", sa.LargeBinary),  # the submitted text, encrypted
    sa.Column("data_name", sa.Text, nullable=False),
    sa.Column("text_name", sa.Text),
    sa.Column("media_bytes", sa.BigInteger, nullable=False, default=0),
    sa.Column("duration_ms", sa.BigInteger, nullable=False, default=0),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("finished_at", sa.BigInteger),
    sa.Column("delete_at", sa.BigInteger),
    sa.Column("removed_at", sa.BigInteger),  # when the job became a tombstone
    sa.Column("attempt", sa.Integer, nullable=False, default=0),  # fencing: grows with every claim
    sa.Column("failures", sa.Integer, nullable=False, default=0),  # attempts whose engine process died
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", sa.BigInteger),
    sa.Column("progress", sa.Float, nullable=False, default=0.0),
    sa.Column("priority", sa.Integer, nullable=False, default=10),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("engine", sa.Text),
    sa.Column("result_key", sa.Text),
    sa.Column("errors", sa.JSON, nullable=False),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("idempotency_digest", sa.Text),
    sa.Column("fetch_attempts", sa.Integer),  # failed fetch attempts; NULL: nothing to fetch
    sa.Column("fetch_at", sa.BigInteger),  # when the next fetch attempt is due
    sa.Column("whole_errors", sa.LargeBinary),  # the entries of `errors` with secrets, by position, encrypted
    sa.Column("legacy", sa.LargeBinary),  # the V1 request of a job that was submitted through V1, encrypted
    sa.Column("keep_ms", sa.BigInteger),  # retention; NULL: the region's setting; 0: until it is delivered
    sa.Column("read_at", sa.BigInteger),  # when its transcript was first fetched
    sa.Column("cleaned_at", sa.BigInteger),  # of a tombstone: when its blobs and queue history were gone
    sa.Column("app", sa.Text),  # which application submitted it (`sm-app`)
    sa.Column("request", sa.LargeBinary),  # the parsed config, encrypted; NULL: of a release that did not store it
    sa.Column("speaker_names", sa.LargeBinary),  # the names that people gave to its speakers, encrypted
    sa.UniqueConstraint("project_id", "idempotency_key", name="jobs_idempotency"),
    sa.Index("jobs_newest", "project_id", "created_at", "id"),
    sa.Index("jobs_due", "delete_at"),
    sa.Index("jobs_removed", "removed_at", "cleaned_at"),
    sa.Index("jobs_leases", "state", "lease_until"),
    sa.Index("jobs_ended", "state", "finished_at"),  # the estimate of the queue
    sa.Index("jobs_quota", "workspace_id", "state", "media_bytes"),
)

sa.Index(  # lists of a key with a reference
    "jobs_refs",
    jobs.c.project_id,
    jobs.c.client_ref,
    jobs.c.created_at,
    jobs.c.id,
    sqlite_where=jobs.c.client_ref.is_not(None),
    postgresql_where=jobs.c.client_ref.is_not(None),
)

job_events = sa.Table(
    "job_events",
    region,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("level", sa.Text, nullable=False),  # INFO | WARNING | ERROR
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    region,
    sa.Column("id", sa.Text, primary_key=True),  # sent to receivers, the same at every attempt
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), index=True),  # NULL: a mail about an account
    sa.Column("kind", sa.Text, nullable=False),  # notification | callback | mail
    sa.Column("number", sa.Integer, nullable=False),  # of its entry in the job's config
    sa.Column("status", sa.Text, nullable=False),  # the job's result, as the notification's `status`
    sa.Column("target", sa.LargeBinary, nullable=False),  # address, headers, contents: encrypted
    sa.Column("place", sa.Text, nullable=False),  # scheme and host of the address, without secrets
    sa.Column("state", sa.Text, nullable=False),  # waiting | delivered | failed
    sa.Column("attempts", sa.Integer, nullable=False, default=0),  # fencing: grows with every recorded attempt
    sa.Column("tries", sa.Integer, nullable=False),  # attempts after which it has failed
    sa.Column("next_at", sa.BigInteger),
    sa.Column("outcome", sa.Text),  # of the last attempt, without secrets
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Index("deliveries_due", "state", "next_at"),
)

job_usage = sa.Table(  # successful jobs and realtime sessions, counted when they end; outlives the job
    "job_usage",
    region,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Integer, nullable=False),
    sa.Column("project_id", sa.Integer, nullable=False),
    sa.Column("day", sa.Integer, nullable=False),  # days since 1970-01-01, UTC
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("operating_point", sa.Text, nullable=False),
    sa.Column("duration_ms", sa.BigInteger, nullable=False),
    sa.Column("app", sa.Text),
    sa.Column("told_at", sa.BigInteger, index=True),  # when it was copied to the control database
    sa.Index("job_usage_days", "workspace_id", "day"),
)

buckets = sa.Table(  # token buckets that several API processes share
    "buckets",
    region,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("tokens", sa.Float, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
)

workers = sa.Table(
    "workers",
    region,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("capabilities", sa.JSON, nullable=False),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("heartbeat_at", sa.BigInteger, nullable=False),
)

live_sessions = sa.Table(  # realtime sessions that run now; of what is said in them nothing is stored
    "live_sessions",
    region,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Integer, nullable=False),
    sa.Column("project_id", sa.Integer, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("process", sa.Text, nullable=False),  # random id of the process that serves it
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("lease_until", sa.BigInteger, nullable=False, index=True),
    sa.Index("live_sessions_of_project", "project_id", "lease_until"),
)
