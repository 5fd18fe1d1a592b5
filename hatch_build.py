"""Build hook: compile the launcher and put it into the wheel.

A missing compiler does not fail the installation: the verifier and the fake
NSM are pure Python and useful without a sandbox (on macOS and Windows too).
``nitrosim doctor`` reports the missing launcher, and the first command that
needs it tries once more to build it.
"""

import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LauncherBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compile ``nitrosim/sandbox/native`` and tag the wheel for this platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before the wheel (or the editable install) is put together."""
        del version
        if sys.platform != "linux":
            return
        package = Path(self.root, "nitrosim", "sandbox")
        spec = importlib.util.spec_from_file_location("_compile", package / "compile.py")
        assert spec is not None
        assert spec.loader is not None
        compile_module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(compile_module)
        try:
            compile_module.compile_launcher(package / "native", package / "launcher")
        except compile_module.CompileError as error:
            self.app.display_warning(f"nitrosim: the launcher was not built: {error}")
            return
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
