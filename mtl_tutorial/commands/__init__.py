"""What ``python -m mtl_tutorial`` can do, one module a command."""

import sys
from typing import Any

_modules: dict[str, Any] = sys.modules
# Notebooks are checked by jsonschema, which makes the grammar of addresses at its import where this
# library is installed. It takes two seconds, and a notebook has no address to check.
_modules.setdefault("rfc3987_syntax", None)


class UsageError(ValueError):
    """What was asked for can't be done; the message is one sentence that says why."""
