"""Runs programs one after the other, each as if it were alone in `__main__`.

One process for all of them, since loading Keras takes longer than most: `python -c "import snippets; snippets.main()"`
reads a JSON list of texts, says which one fails and why, and exits with their number.
"""

from __future__ import annotations

import json
import sys
import traceback


def main() -> None:
    names = vars(sys.modules["__main__"])
    own = dict(names)
    failed = 0
    for number, text in enumerate(json.loads(sys.stdin.read())):
        names.clear()
        names.update(own)
        try:
            exec(compile(text, f"<snippet {number}>", "exec"), names)
        except BaseException:
            failed += 1
            sys.stderr.write(f"snippet {number}, which begins with:\n{text[:200]}\n")
            traceback.print_exc()
    names.clear()
    names.update(own)
    sys.exit(failed)
