"""Multipart uploads left behind in S3: signed as published, found and aborted on a real server over HTTP."""

import asyncio
import json
from datetime import UTC, datetime

import httpx

from sottovoce.service.retention.orphan_sweeper import Sweeper
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.service.storage.migrate import REGION, upgrade
from sottovoce.service.storage.s3_multipart import Credentials, MultipartUploads, signed
from tests.backends import S3


def test_the_signature_is_the_published_one():
    # AWS documentation, "Signature Calculations … Examples": GET bucket (list objects)
    who = Credentials(
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
    )
    headers = signed(
        "GET", "https://examplebucket.s3.amazonaws.com/", "max-keys=2&prefix=J", who, datetime(2013, 5, 24, tzinfo=UTC)
    )
    assert headers["authorization"].endswith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")


def test_stale_uploads_are_aborted_and_finished_blobs_stay(tmp_path):
    with S3() as server:
        server.bucket("media")
        options = {"endpoint": server.endpoint, "region": "us-east-1", "access_key_id": "a", "secret_access_key": "b"}
        options["virtual_hosted_style_request"] = "false"
        blobs = Blobs.open("s3://media/eu1", options)
        asyncio.run(blobs.put("health/probe", b"ok"))
        for name in ("eu1/jobs/abc/input", "eu1/jobs/a b+c/ü"):
            httpx.post(f"{server.endpoint}/media/{name}?uploads").raise_for_status()
        assert server.uploads("media") == 2
        database = Database(sqlite_url(tmp_path / "region.db"))
        upgrade(database, REGION)
        bucket = MultipartUploads("s3://media/eu1", json.loads(json.dumps(options)))
        # this server dates every upload 2010
        young = asyncio.run(Sweeper(database, blobs, bucket, grace=40 * 365 * 86_400).sweep())
        assert (young, server.uploads("media")) == (0, 2)
        old = asyncio.run(Sweeper(database, blobs, bucket, grace=-60).sweep())
        assert (old, server.uploads("media")) == (2, 0)
        assert server.keys("media") == ["eu1/health/probe"]
        database.close()
