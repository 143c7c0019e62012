"""Can a server run here? Every reason why not, each in one line with what to do about it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from voiceman.contracts import MODELS
from voiceman.errors import EnvironmentCheckError, WeightsError
from voiceman.manifest import MANIFEST_NAME, language_folders, verify
from voiceman.server.address import bind, find_address
from voiceman.server.installation import (
    Interpreter,
    Triton,
    find_triton,
    probe_interpreter,
    server_environment,
)
from voiceman.server.settings import ServerSettings

REQUIRED_WEIGHTS = ("whisper", "speaker_embedding", "voice_activity", "scoring")
OPTIONAL_WEIGHTS = ("emotion_dimensional", "emotion_categorical")
WEIGHTS_BY_LANGUAGE = "word_alignment"

# What the models import. Without numpy the stub does not even start.
MODEL_PACKAGES = ("voiceman", "scipy", "torch", "tokenizers", "safetensors")

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where Triton puts its regions, not ours to choose
# 64 windows of 30 s (1 MB each as INT16) in flight through seven models that take the sound.
SHARED_MEMORY_BYTES = 512 << 20


def check_environment(settings: ServerSettings) -> tuple[Triton, Interpreter, list[str]]:
    """Look at everything that a server needs before it is started.

    Returns:
        The tritonserver and interpreter to use, and notes on what will be unavailable.

    Raises:
        EnvironmentCheckError: the server cannot run; one line per problem, all of them.
    """
    problems: list[str] = []
    notes: list[str] = []
    models = _check_repository(settings, problems, notes)
    problems += _port_problems(settings)
    problems += _shared_memory_problems()
    packages = MODEL_PACKAGES if MODELS.keys() & models else ()
    interpreter = triton = None
    try:
        interpreter = probe_interpreter(settings.python, packages)
    except EnvironmentCheckError as err:
        problems.append(str(err))
    try:
        triton = find_triton(settings)
    except EnvironmentCheckError as err:
        problems.append(str(err))
    if interpreter:
        problems += _interpreter_problems(interpreter)
    if interpreter and triton:
        problems += _triton_problems(triton, interpreter)
    if problems or interpreter is None or triton is None:
        raise EnvironmentCheckError("\n".join(problems))
    return triton, interpreter, notes


def _check_repository(settings: ServerSettings, problems: list[str], notes: list[str]) -> list[str]:
    """Models and weights; returns the names of the models that will be loaded."""
    repository = settings.model_repository
    if not repository.is_dir():
        problems.append(f"{repository}: no such folder; set --model-repository")
        return []
    names = settings.model_names()
    if not names:
        problems.append(f"{repository}: holds no models; set --model-repository")
    # With `forensic` come its steps, whose weights must be there too.
    present = names if not settings.models else [p.name for p in repository.iterdir()]
    for name in names:
        if not (repository / name / "config.pbtxt").is_file():
            problems.append(
                f"{repository / name}: has no config.pbtxt; only model folders may live in a "
                "model repository"
            )
    for name in (*REQUIRED_WEIGHTS, *OPTIONAL_WEIGHTS):
        if name in present:
            _check_weights(repository / name / "1" / "weights", name, problems, notes)
    for folder in language_folders(repository / WEIGHTS_BY_LANGUAGE / "1" / "weights"):
        if WEIGHTS_BY_LANGUAGE in present:
            _check_weights(folder, WEIGHTS_BY_LANGUAGE, problems, notes)
    return names


def _check_weights(folder: Path, model: str, problems: list[str], notes: list[str]) -> None:
    if model in OPTIONAL_WEIGHTS and not (folder / MANIFEST_NAME).exists():
        notes.append(f'{model}: has no weights and will answer "unavailable"')
        return
    try:
        verify(folder)
    except WeightsError as err:
        problems.append(str(err))


def _port_problems(settings: ServerSettings) -> Iterator[str]:
    try:
        address = find_address(settings.host)
        settings.ports.resolve(address)
    except EnvironmentCheckError as err:
        yield str(err)
        return
    ports = settings.ports.by_name()
    for name, port in ports.items():
        option = f"--{name.lower()}-port"
        if not 0 <= port < 1 << 16:
            yield f"{name} port {port}: allowed are 0 to 65535; set {option}"
        elif port and list(ports.values()).count(port) > 1:
            yield f"{name} port {port}: wanted twice; set {option}"
        elif port and (reason := _cannot_listen(address, port)):
            yield (
                f"{name} port {port} on {settings.host}: {reason}; set {option}, or take any "
                "free ports with --ports auto"
            )


def _cannot_listen(address: str, port: int) -> str:
    try:
        bind(address, port).close()
    except OSError as err:
        return err.strerror or str(err)
    return ""


def _shared_memory_problems() -> Iterator[str]:
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < SHARED_MEMORY_BYTES:
        yield (
            f"{SHARED_MEMORY}: {free >> 20} MiB are free, {SHARED_MEMORY_BYTES >> 20} MiB are "
            "needed; in a container raise it with --shm-size=2g"
        )


def _interpreter_problems(interpreter: Interpreter) -> Iterator[str]:
    python = interpreter.executable
    if not (python.parent / "python3").exists():
        yield (
            f"{python.parent}: has no python3, which Triton's Python backend runs; choose another "
            "interpreter with --python"
        )
    if not interpreter.numpy:
        yield f"{python}: has no numpy; install voiceman[server] there"
    if interpreter.missing:
        yield f"{python}: has no {', '.join(interpreter.missing)}; install voiceman[server] there"


def _triton_problems(triton: Triton, interpreter: Interpreter) -> Iterator[str]:
    if triton.stubs is not None and interpreter.numpy.split(".")[0] not in ("", "1"):
        yield (
            f"{interpreter.executable}: has numpy {interpreter.numpy}, to which this tritonserver "
            "delivers zeros instead of data; install 'numpy>=1.26,<2' there"
        )
    environment = server_environment(triton, interpreter)
    for program in (triton.executable, triton.stub(interpreter)):
        if not os.access(program, os.X_OK):
            yield f"{program}: no such executable; set --tritonserver or --backend-directory"
            continue
        for library in _missing_libraries(program, environment):
            advice = (
                f"install libpython{interpreter.version}, or use an interpreter built with it"
                if library.startswith("libpython")
                else "install the package that holds it, or add its folder to LD_LIBRARY_PATH"
            )
            yield f"{program}: needs {library}, which is not found; {advice}"


def _missing_libraries(program: Path, environment: dict[str, str]) -> list[str]:
    """Shared libraries that the loader would not find."""
    listing = subprocess.run(
        ["ldd", str(program)], capture_output=True, text=True, env=environment, check=False
    )
    return [line.split()[0] for line in listing.stdout.splitlines() if line.endswith("not found")]
