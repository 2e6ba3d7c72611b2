"""What went wrong on the way to a remote file: whether it may pass, and in words.

Told by names and numbers that libraries put on their errors, so that none of them needs to be there.
"""

from __future__ import annotations

from collections.abc import Iterator

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
# Of fsspec, aiohttp, botocore and urllib3.
_PASSING_CLASSES = frozenset(
    {
        "FSTimeoutError", "ClientConnectionError", "ClientPayloadError", "ServerTimeoutError", "HTTPClientError",
        "IncompleteRead", "IncompleteReadError", "ResponseParserError", "ProtocolError", "ResponseStreamingError",
    }
)  # fmt: skip
_WITHOUT_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"})
_TIMEOUT_CLASSES = frozenset({"FSTimeoutError", "ReadTimeoutError", "ConnectTimeoutError", "ServerTimeoutError"})
_DENIED = frozenset({401, 403})
_MOST_LETTERS = 300  # a server's page of HTML is no help


class HTTPError(Exception):
    """What a server says instead of a file.

    Attributes:
        status: its number.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Unserved(Exception):
    """This is for another client."""


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    status = status_of(error)
    if status is not None:
        return status in _PASSING
    if isinstance(error, FileNotFoundError | PermissionError):
        return False
    return isinstance(error, TimeoutError | ConnectionError) or bool(_class_names(error) & _PASSING_CLASSES)


def is_missing(error: BaseException) -> bool:
    """Whether there is no such file."""
    return isinstance(error, FileNotFoundError | NotADirectoryError) or status_of(error) in (404, 410)


def is_denied(error: BaseException) -> bool:
    """Whether the server wants other credentials."""
    return (
        isinstance(error, PermissionError)
        or status_of(error) in _DENIED
        or bool(_class_names(error) & _WITHOUT_CREDENTIALS)
    )


def reason(error: BaseException) -> str:
    """Why a file cannot be had, and what to do: to be shown after `scrubbed`. No full stop at its end."""
    if is_missing(error):
        return "it is not there. Put it there, or make a new flow of what is there"
    if is_denied(error):
        said = _words(error)
        return (
            f"access is denied{f' ({said})' if said else ''}. Give credentials by `storage_options` or in the "
            "environment, or ask for the right to read it"
        )
    if isinstance(error, TimeoutError) or _class_names(error) & _TIMEOUT_CLASSES:
        return "the server did not answer in time. Look whether it is up, or give it more by `timeout`"
    status, said = status_of(error), _words(error)
    return f"{type(error).__name__}{'' if status is None else f' {status}'}{f': {said}' if said else ''}"


def status_of(error: BaseException) -> int | None:
    """The number that an HTTP server has answered with, if one is known."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        if isinstance(response, dict):  # botocore
            known = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if isinstance(known, int):
                return known
        for name in ("status", "status_code", "code"):  # aiohttp, Azure, gcsfs
            known = getattr(one, name, None)
            if isinstance(known, int) and 400 <= known < 600:
                return known
            if isinstance(known, str) and known.isdecimal():
                return int(known)
    return None


def _words(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    line = " ".join(str(said).split())
    return (line if len(line) <= _MOST_LETTERS else f"{line[:_MOST_LETTERS]}...").rstrip(".")


def _class_names(error: BaseException) -> set[str]:
    return {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it comes from."""
    one: BaseException | None = error
    for _ in range(10):
        if one is None:
            return
        yield one
        one = one.__cause__
