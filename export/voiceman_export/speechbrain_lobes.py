"""speechbrain's own classes, on machines where torchaudio cannot be imported.

speechbrain imports torchaudio at the top of modules that do not use it for what is exported
here. PyPI's torchaudio does not load beside a CPU-only torch, so an empty module stands in
for it while speechbrain is imported, and is taken away again: transformers, for one, asks
whether torchaudio is there. So are the placeholders that speechbrain leaves for its renamed
modules: whoever looks through the loaded modules would set off imports that fail.
"""

import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType

import torch


@contextmanager
def _torchaudio_stand_in() -> Generator[None]:
    stand_in = ModuleType("torchaudio", "Stands in for torchaudio while speechbrain is imported.")
    # speechbrain parses it, and asks nothing more of versions from 2.9 on.
    stand_in.__dict__["__version__"] = "2.9.0"
    before = sys.modules.get("torchaudio")
    sys.modules["torchaudio"] = stand_in
    try:
        yield
    finally:
        del sys.modules["torchaudio"]
        if before is not None:
            sys.modules["torchaudio"] = before
        for name, module in list(sys.modules.items()):
            if type(module).__module__ == "speechbrain.utils.importutils":
                del sys.modules[name]


def imported(name: str) -> ModuleType:
    """A module of speechbrain's, "speechbrain.nnet.pooling" for example."""
    with _torchaudio_stand_in():
        return importlib.import_module(name)


def ecapa_tdnn(**settings: object) -> torch.nn.Module:
    """speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN with these settings."""
    return imported("speechbrain.lobes.models.ECAPA_TDNN").ECAPA_TDNN(**settings)
