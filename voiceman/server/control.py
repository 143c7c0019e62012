"""Which models a running server has loaded; only who started it may change that.

Who may load models may run code. So Triton is told a key that nobody else knows.
"""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from voiceman.errors import ServerNotReadyError

_PROTOCOL = "model-repository"
_HEADER = "voiceman"
_BYTE_CODE = "__pycache__"

# Of every file of a model: what changes when it is written or replaced.
State = dict[str, tuple[int, int, int]]


class ModelControl:
    """The right to load the models of one server, and what it has loaded."""

    def __init__(self, repository: Path, names: Sequence[str]) -> None:
        """Look at the models before they are loaded, so that no change goes unseen.

        Args:
            repository: the model repository.
            names: the models that the server is to have.
        """
        self._repository = repository
        self._key = secrets.token_hex(16)
        self._loaded = {name: _state(repository / name) for name in names}

    def arguments(self) -> list[str]:
        """Arguments of a tritonserver that starts with these models and obeys the key."""
        return [
            "--model-control-mode=explicit",
            f"--grpc-restricted-protocol={_PROTOCOL}:{_HEADER}={self._key}",
            f"--http-restricted-api={_PROTOCOL}:{_HEADER}={self._key}",
            *(f"--load-model={name}" for name in self._loaded),
        ]

    def load_changes(self, grpc_url: str) -> dict[str, str]:
        """Load the models whose files changed, or that have a newer version.

        The new one is loaded beside the old one and takes its place when it is ready; requests
        in flight end on the old one, which also stays if the new one cannot be loaded. Triton
        itself would load all models again: it takes the byte code that Python writes beside
        model.py for a change.

        Returns:
            What became of each: nothing if it was loaded, else why not.
        """
        outcome: dict[str, str] = {}
        with triton.InferenceServerClient(grpc_url) as client:
            for name, before in self._loaded.items():
                now = _state(self._repository / name)
                if now == before:
                    continue
                outcome[name] = ""
                try:
                    client.load_model(name, headers=self._headers())
                    self._loaded[name] = now
                except InferenceServerException as err:
                    outcome[name] = str(err)
        return outcome

    def load_anew(self, grpc_url: str, name: str, timeout_s: float) -> None:
        """Give a model fresh processes: unload and load it.

        To load alone does nothing where no file has changed. Until it is loaded again, the model
        and the ensembles that it is part of refuse requests; those that wait in a dead process
        are never answered.

        Raises:
            ServerNotReadyError: it cannot be loaded, or not in time.
        """
        state = _state(self._repository / name)
        try:
            with triton.InferenceServerClient(grpc_url) as client:
                client.unload_model(name, headers=self._headers(), client_timeout=timeout_s)
                client.load_model(name, headers=self._headers(), client_timeout=timeout_s)
        except InferenceServerException as err:
            raise ServerNotReadyError(f"{name}: cannot be loaded anew: {err}") from err
        if name in self._loaded:  # or else it came with an ensemble
            self._loaded[name] = state

    def _headers(self) -> dict[str, str]:
        return {f"triton-grpc-protocol-{_HEADER}": self._key}


def _state(model: Path) -> State:
    state: State = {}
    for folder, folders, files in os.walk(model, followlinks=True):
        if _BYTE_CODE in folders:
            folders.remove(_BYTE_CODE)
        for name in files:
            path = Path(folder, name)
            with suppress(FileNotFoundError):  # an export may be replacing it at this moment
                found = path.stat()
                state[str(path)] = (found.st_mtime_ns, found.st_size, found.st_ino)
    return state
