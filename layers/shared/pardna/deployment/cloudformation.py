"""Answers to CloudFormation: an HTTP PUT to a signed URL of S3."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import urllib3

from pardna.runtime.errors import Unavailable

_ATTEMPTS = 5


class SignedUrlAnswers:
    """`Answers` by HTTP; repeats, because an answer that is lost blocks the stack for an hour."""

    def __init__(self, pause_seconds: float = 2.0) -> None:
        self._pause_seconds = pause_seconds
        self._http = urllib3.PoolManager()

    def send(self, url: str, body: bytes) -> None:
        """See `Answers`. The content type is empty because the URL was signed without one."""
        timeout = urllib3.Timeout(connect=5, read=10)
        status = "no answer"
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(self._pause_seconds)
            try:
                answer = self._http.request(
                    "PUT",
                    url,
                    body=body,
                    headers={"content-type": ""},
                    retries=False,
                    timeout=timeout,
                )
            except urllib3.exceptions.HTTPError as error:
                status = type(error).__name__
                continue
            if answer.status < 300:
                return
            status = str(answer.status)
        host = urlsplit(url).hostname or ""
        raise Unavailable("deployment.unanswered", f"{host} did not take the answer: {status}")
