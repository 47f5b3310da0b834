"""The one kernel of the course: the Python that is running."""

from __future__ import annotations

from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager


class RunningPython(KernelSpecManager):
    """Offers the running Python as ``python3``, whatever kernels the user has installed."""

    def _kernel_dirs_default(self) -> list[str]:
        return []

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Give the kernel, told to write nothing but errors to the terminal.

        Raises:
            NoSuchKernel: for any name but ``python3``.
        """
        spec = super().get_kernel_spec(kernel_name)
        spec.argv = [*spec.argv, "--log-level=ERROR"]
        return spec


class RunningPythonManager(AsyncKernelManager):
    """Starts and ends one kernel of the running Python."""

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return RunningPython(parent=self)


def name_kernel(metadata: dict[str, Any]) -> None:
    """Make a notebook's metadata name this kernel as on every machine, without its version."""
    metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    metadata["language_info"] = {"name": "python"}
