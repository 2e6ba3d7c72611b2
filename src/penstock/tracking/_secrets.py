"""What must not be recorded: passwords, keys and the like, masked by the names that they go by."""

from __future__ import annotations

import re
from collections.abc import Sequence

MASK = "***"

# The last part of a word: "api_key", "OPENAI_API_KEY", "accessToken", "apikey", "authorization"; not "author".
_SECRET_WORD = re.compile(
    r"(?:token|key|password|passwd|passphrase|pwd|secret|credential|auth|authorization|bearer|cookie)s?", re.IGNORECASE
)
_ENDS_SECRET = re.compile(r"(?:token|key|password|secret|credential)s?$", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# All repetitions have an end, or a long line without what they look for would take hours.
_URL_USER = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.\-]{0,30}://)[^/\s@\"'<>]{1,500}@")
_QUERY = re.compile(r"(?<=[?&;])(?P<name>[\w.\-]{1,100})=(?P<value>[^&;#\s\"'<>]{1,4000})")
_BEARER = re.compile(r"(?P<kind>\b(?:[Bb]earer|[Bb]asic))\s{1,20}[A-Za-z0-9._~+/\-]{8,4000}={0,2}")
# Those of well-known services, which tell themselves apart.
_SHAPES = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{16,}|hf_[A-Za-z0-9]{16,}|sk-[\w\-]{16,}|"
    r"xox[abprs]-[\w\-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w\-]{30,}|eyJ[\w\-]{10,4000}\.[\w\-]{10,4000}\.[\w\-]*)"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
)

_NAME = r"(?<![\w.\-])(?P<name>[A-Za-z_][\w.\-]{0,100}+)"
_TEXT = (
    r"\"\"\".{0,20000}?\"\"\"|\'\'\'.{0,20000}?\'\'\'"
    r"|\"(?:[^\"\\\n]|\\.){0,20000}+\"|\'(?:[^\'\\\n]|\\.){0,20000}+\'"
)
# A literal that is assigned, given by name, or stands beside its name in a dict or a call.
_BESIDE = r"[\"']\s{0,20}+,|[\"']?\]?\s{0,20}+(?::\s{0,20}+[\w.\[\]| ]{1,80}?=|[:=])"
_ASSIGNED = re.compile(
    rf"(?P<head>{_NAME}(?:{_BESIDE})\s{{0,200}}+\(?\s{{0,200}}+[rRbBuUfF]{{0,2}})(?P<value>{_TEXT})", re.DOTALL
)
# The same without quotes, as in YAML, .env and shell files: long, with a digit, and no name of Python's.
_BARE = re.compile(
    rf"(?P<head>{_NAME}\s{{0,20}}+[:=]\s{{0,20}}+)"
    r"(?P<value>(?=[\w+/=\-]{0,400}\d)[\w+/=\-]{12,400})(?=\s|$)",
    re.MULTILINE,
)
# A setting in any other file than Python's: whatever follows.
_SETTING = re.compile(
    r"^(?P<head>[+\- ]?[ \t]{0,100}(?:export[ \t]|-[ \t])?[\"']?(?P<name>[A-Za-z_][\w.\-]{0,100}+)[\"']?"
    r"[ \t]{0,20}[:=][ \t]{0,20})(?P<value>\S.*)",
    re.MULTILINE,
)
_FILE = re.compile(r"(?=^diff --git )", re.MULTILINE)


def is_secret(name: str) -> bool:
    """Whether what goes by this name is to be masked.

    Example:
        >>> [name for name in ("api_key", "--hf-token", "dbPassword", "author", "tokenizer") if is_secret(name)]
        ['api_key', '--hf-token', 'dbPassword']
    """
    words = _WORDS.findall(name)
    return any(_SECRET_WORD.fullmatch(word) or _ENDS_SECRET.search(word) for word in words)


def mask_value(name: str, value: str) -> str:
    """A setting's value by its name."""
    return MASK if value and is_secret(name) else mask_tokens(value)


def mask_tokens(text: str) -> str:
    """Passwords in URLs, and tokens that tell by their shape what they are.

    Example:
        >>> mask_tokens("postgresql://me:pass@host/db https://host/?token=abc&x=1 Authorization: Bearer abcdefghijk")
        'postgresql://***@host/db https://host/?token=***&x=1 Authorization: Bearer ***'
    """
    text = _PRIVATE_KEY.sub(MASK, text)
    text = _URL_USER.sub(rf"\g<scheme>{MASK}@", text)
    text = _QUERY.sub(lambda found: f"{found['name']}={MASK}" if is_secret(found["name"]) else found[0], text)
    text = _BEARER.sub(rf"\g<kind> {MASK}", text)
    return _SHAPES.sub(MASK, text)


def mask_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """A command line: `--token abc`, `--api-key=abc`, `TOKEN=abc`.

    Example:
        >>> mask_argv(["train.py", "--token", "abc", "--api-key=abc", "--epochs", "3", "PASSWORD=abc"])
        ('train.py', '--token', '***', '--api-key=***', '--epochs', '3', 'PASSWORD=***')
    """
    masked: list[str] = []
    is_due = False  # the value of an option before
    for argument in argv:
        name, has_value, value = argument.partition("=")
        if is_due and not argument.startswith("--"):
            masked.append(MASK)
            is_due = False
            continue
        is_due = argument.startswith("-") and not has_value and is_secret(name)
        is_plain_name = re.fullmatch(r"-{0,2}[\w.\-]+", name) is not None
        masked.append(
            f"{name}={MASK}" if has_value and value and is_plain_name and is_secret(name) else mask_tokens(argument)
        )
    return tuple(masked)


def mask_text(text: str) -> str:
    """A script: literals that are assigned to such names.

    What is computed, read from a file or hidden in a value of another name is not recognized.

    Example:
        >>> print(mask_text('API_KEY = "abc"; connect(user="me", password="abc"); os.environ["TOKEN"] = "abc"'))
        API_KEY = "***"; connect(user="me", password="***"); os.environ["TOKEN"] = "***"
    """
    text = _ASSIGNED.sub(lambda found: found["head"] + _masked(found["value"]) if _hides(found) else found[0], text)
    text = _BARE.sub(lambda found: found["head"] + MASK if is_secret(found["name"]) else found[0], text)
    return mask_tokens(text)


def mask_diff(diff: str) -> str:
    r"""What Git prints: as scripts are, and in files that are not Python's, all that follows such a name.

    Example:
        >>> print(mask_diff("diff --git a/.env b/.env\n+export API_KEY=abc\n+EPOCHS=3"))
        diff --git a/.env b/.env
        +export API_KEY=***
        +EPOCHS=3
    """
    parts = []
    for part in _FILE.split(diff):
        if not part.partition("\n")[0].endswith(".py"):
            part = _SETTING.sub(lambda found: found["head"] + MASK if is_secret(found["name"]) else found[0], part)
        parts.append(mask_text(part))
    return "".join(parts)


def _hides(found: re.Match[str]) -> bool:
    return is_secret(found["name"]) and len(found["value"].strip("\"'")) > 0


def _masked(literal: str) -> str:
    quotes = literal[:3] if literal[:3] in ('"""', "'''") else literal[0]
    return f"{quotes}{MASK}{quotes}"
