"""What is masked before it is recorded."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import pytest

from penstock.tracking._secrets import is_secret, mask_argv, mask_diff, mask_text, mask_value


@pytest.mark.parametrize(
    "name",
    [
        "token", "API_KEY", "--api-key", "apikey", "openaiApiKey", "HF_TOKEN", "password", "DB_PASSWORD",
        "passwd", "pwd",
        "client_secret", "secrets", "AWS_CREDENTIALS", "auth", "basic-auth", "Authorization", "accesskey", "ssh.key",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)
    assert mask_value(name, "hunter2") == "***"


@pytest.mark.parametrize(
    "name", ["author", "tokenizer", "keyboard", "learning_rate", "authors", "keyed", "passes", "seed"]
)
def test_names_that_only_look_like_it(name: str) -> None:
    assert not is_secret(name)
    assert mask_value(name, "hunter2") == "hunter2"


@pytest.mark.parametrize(
    ("argv", "masked"),
    [
        (["--token", "hunter2", "-x"], ["--token", "***", "-x"]),
        (["--token", "-hunter2"], ["--token", "***"]),
        (["--no-auth", "--epochs", "3"], ["--no-auth", "--epochs", "3"]),
        (["--api-key=hunter2"], ["--api-key=***"]),
        (["WANDB_API_KEY=hunter2"], ["WANDB_API_KEY=***"]),
        (["--store", "https://me:hunter2@host/x"], ["--store", "https://***@host/x"]),
        (["--url=https://host/?key=hunter2&b=1"], ["--url=https://host/?key=***&b=1"]),
        (["--header", "Authorization: Bearer hunter2hunter2"], ["--header", "Authorization: Bearer ***"]),
        (["--epochs=3", "data"], ["--epochs=3", "data"]),
    ],
)
def test_command_lines(argv: list[str], masked: list[str]) -> None:
    assert mask_argv(argv) == tuple(masked)


@pytest.mark.parametrize(
    "text",
    [
        'API_KEY = "hunter2"',
        "password: str = 'hunter2'",
        'connect(user="me", password="hunter2")',
        '{"token": "hunter2", "x": 1}',
        'os.environ["HF_TOKEN"] = "hunter2"',
        'os.environ.setdefault("HF_TOKEN", "hunter2")',
        'secret = (\n    "hunter2"\n)',
        'secret = f"""a\nhunter2"""',
        "+  api_key: hunter2hunter2hunter2",
        "postgresql://me:hunter2@host/db",
        "x = 'sk-hunter2hunter2hunter2'",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_scripts_and_diffs(text: str) -> None:
    masked = mask_text(text)
    assert "hunter2" not in masked
    assert "***" in masked
    assert masked.count("\n") <= text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "key = jax.random.key(0)",
        "token = tokens[0]",
        'monitor = "val_accuracy"',
        "keys = sorted(found, key=len)",
        "password = read_password()",
        'author = "me"',
        "see https://keras.io/api/ and http://127.0.0.1:5000/#/",
    ],
)
def test_code_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


def test_settings_in_a_diff_of_files_that_are_not_pythons() -> None:
    lines = [
        *(
            "+password: hunter2",
            "+export API_KEY=hunter2",
            '-"token": 5,',
            "   - secret : hunter2 and hunter2",
            "+x: 1",
        ),
        "+password=" + 30_000 * "hunter2",
    ]
    masked = mask_diff("\n".join(["diff --git a/.env b/.env", *lines, "diff --git a/x.py b/x.py", "+f(key=key)"]))
    assert "hunter2" not in masked
    assert masked.splitlines()[1:6] == [
        "+password: ***",
        "+export API_KEY=***",
        '-"token": ***',
        "   - secret : ***",
        "+x: 1",
    ]
    assert masked.endswith("+f(key=key)")


@pytest.mark.parametrize("mask", [mask_text, mask_diff])
@pytest.mark.parametrize(
    "part",
    ["key: ", "key:" + 50 * " ", 'key = "', "a.b-c", "https://", "?key=", 'key="""', "eyJaaaaaaaaaaaa.", "key=a1"],
)
def test_a_text_twice_as_long_does_not_take_four_times_as_long(part: str, mask: Callable[[str], str]) -> None:
    def seconds(letters: int) -> float:
        text = part * (letters // len(part))
        began = perf_counter()
        mask(text)
        return perf_counter() - began

    short = min(seconds(2_500) for _ in range(5))
    # 16 times the letters: 256 times the time where it is quadratic.
    assert min(seconds(40_000) for _ in range(3)) < 100 * short
