"""An interactive course on multi-task learning."""

__version__ = "0.1.0"
