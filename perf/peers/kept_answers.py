"""What the other engines say does not change between two runs: it is made once and kept."""

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from perf.peers.interface import WEIGHTS
from perf.peers.windowing import SpokenWindow
from perf.whisper_corpus import Recording
from voiceman.cache import cache_dir

FOLDER = Path(__file__).parent
Answer = TypeVar("Answer")
Sound = Recording | SpokenWindow


def kept(name: str, sounds: Sequence[Sound], make: Callable[[], Answer]) -> Answer:
    """What `make` returned (a JSON value) for the same name, sound, weights and peers.

    Args:
        name: of what is made.
        sounds: all recordings, or all windows where the windows matter.
        make: called when it is not there yet.
    """
    path = cache_dir() / "peers" / "answers" / f"{name}-{_key(sounds)}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make(), ensure_ascii=False), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def _key(sounds: Sequence[Sound]) -> str:
    """Of what an answer depends on: sound, weights, versions, and how peers are called."""
    content = hashlib.sha256()
    for sound in sounds:
        content.update(sound.language.encode())
        content.update(sound.waveform.tobytes())
    called = [*FOLDER.glob("*_engine.py"), *FOLDER.glob("*_words.py")]
    sources = [path for path in called if path.name != "own_engine.py"]
    for path in [WEIGHTS / "manifest.json", FOLDER / "requirements.txt", *sorted(sources)]:
        content.update(path.read_bytes())
    content.update(version("transformers").encode())
    return content.hexdigest()[:16]
