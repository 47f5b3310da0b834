"""What ``python -m mtl_tutorial`` can do, one module a command."""


class UsageError(ValueError):
    """What was asked for can't be done; the message is one sentence that says why."""
