"""What a server is started from: a tritonserver, and the interpreter its models run in."""

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voiceman.errors import EnvironmentCheckError
from voiceman.profile import VARIABLE as PROFILE_VARIABLE
from voiceman.profile import Profile
from voiceman.server.settings import ServerSettings

PROBE_TIMEOUT_S = 60
STUB = "triton_python_backend_stub"

# Models run side by side, one process each: threads that fight over a few cores are slower
# than one thread per process. Whoever has cores to spare sets these variables.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_PROBE = """
import importlib.util, json, sys, sysconfig
try:
    import numpy
    numpy_version = numpy.__version__
except ImportError:
    numpy_version = ""
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "library_folder": sysconfig.get_config_var("LIBDIR") or "",
    "numpy": numpy_version,
    "missing": [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None],
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """The Python whose packages the models see.

    Attributes:
        executable: its path; not resolved, because a virtual environment is a link.
        version: major and minor, "3.11".
        library_folder: where its libpython was installed, if it has one.
        numpy: version of its numpy; empty: not installed.
        missing: packages that the models import and that it does not have.
    """

    executable: Path
    version: str
    library_folder: str
    numpy: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Triton:
    """A tritonserver.

    Attributes:
        executable: path of `tritonserver`.
        backend_directory: its folder of backends.
        library_folders: where the loader finds libraries that came with it.
        stubs: folder of one Python stub per Python version, to be put among the backends;
            None: the backends are complete, as in NVIDIA's images.
    """

    executable: Path
    backend_directory: Path
    library_folders: tuple[Path, ...] = ()
    stubs: Path | None = None

    def stub(self, interpreter: Interpreter) -> Path:
        """The executable that runs Python models."""
        if self.stubs is None:
            return self.backend_directory / "python" / STUB
        return self.stubs / interpreter.version / STUB


def probe_interpreter(python: Path, packages: tuple[str, ...]) -> Interpreter:
    """Ask an interpreter for its version, numpy and packages, in a process of its own.

    Raises:
        EnvironmentCheckError: it does not run.
    """
    try:
        answer = subprocess.run(
            [str(python), "-c", _PROBE, *packages],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        values = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, json.JSONDecodeError) as err:
        raise EnvironmentCheckError(
            f"{python}: does not run as a Python interpreter ({err}); choose another with --python"
        ) from err
    return Interpreter(
        executable=python.absolute(),
        version=values["version"],
        library_folder=values["library_folder"],
        numpy=values["numpy"],
        missing=tuple(values["missing"]),
    )


def find_triton(settings: ServerSettings) -> Triton:
    """The tritonserver of the settings, or else the one of the nvidia-pytriton package.

    Raises:
        EnvironmentCheckError: there is none.
    """
    if settings.tritonserver is not None:
        executable = settings.tritonserver.resolve()
        # /opt/tritonserver/bin/tritonserver has its backends in /opt/tritonserver/backends.
        backends = settings.backend_directory or executable.parent.parent / "backends"
        return Triton(executable, backends)
    package = importlib.util.find_spec("pytriton")
    if package is None or package.origin is None:
        raise EnvironmentCheckError(
            "no tritonserver: install the extra voiceman[server], or name one with --tritonserver"
        )
    root = Path(package.origin).parent
    return Triton(
        executable=root / "tritonserver" / "bin" / "tritonserver",
        backend_directory=settings.backend_directory or root / "tritonserver" / "backends",
        library_folders=(root.parent / "nvidia_pytriton.libs",),
        stubs=None if settings.backend_directory else root / "tritonserver/python_backend_stubs",
    )


def prepare_backends(triton: Triton, interpreter: Interpreter, folder: Path) -> Path:
    """A folder of backends that fits the interpreter.

    Args:
        triton: where the parts come from.
        interpreter: decides which stub is taken.
        folder: an empty folder of ours, because the package's own may be read-only.

    Returns:
        The backends' folder for the command line of tritonserver.
    """
    if triton.stubs is None:
        return triton.backend_directory
    backends = folder / "backends"
    python = backends / "python"
    python.mkdir(parents=True)
    for path in (triton.backend_directory / "python").iterdir():
        if path.name != STUB:
            (python / path.name).symlink_to(path)
    shutil.copy2(triton.stub(interpreter), python / STUB)
    return backends


def server_environment(
    triton: Triton,
    interpreter: Interpreter,
    profile: Profile = "default",
    inherited: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Environment variables for tritonserver and the model processes it starts."""
    environment = dict(inherited)
    libraries = [*map(str, triton.library_folders), interpreter.library_folder]
    libraries.append(environment.get("LD_LIBRARY_PATH", ""))
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, libraries))
    # A stub takes the packages of the `python3` that is first on PATH.
    environment["PATH"] = os.pathsep.join(
        [str(interpreter.executable.parent), environment.get("PATH", os.defpath)]
    )
    for name in THREAD_VARIABLES:
        environment.setdefault(name, "1")
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    environment[PROFILE_VARIABLE] = profile
    return environment
