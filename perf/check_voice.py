"""Parity of the voice models with their sources, on many utterances of real speech.

    python -m perf.check_voice [--utterances 500]

Speaker embedding and voice activity have their real weights. The emotion and CTC models have random
ones of the published sizes (`perf.random_voices`), in their makers' layouts, exported as a user
exports them and compared by `voiceman-export check`. Differences are of outputs that range over
1; of outputs by frame, the mean over frames of the most different class.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from perf import random_voices
from perf.record import ROOT, table, write_result
from voiceman_export.checks import check
from voiceman_export.models import export_model
from voiceman_export.parity import Parity

COMMAND = "make check-voice"
EXPLANATION = __doc__.split("\n\n")[2].strip()
RANDOM = {
    "emotion_dimensional": (random_voices.write_dimensional, ""),
    "emotion_categorical": (random_voices.write_categorical, ""),
    "word_alignment": (random_voices.write_ctc, "ko"),
}


def compare(repository: Path, utterances: int) -> Iterator[Parity]:
    """All rows of all voice models; one at a time in memory and on disk."""
    for model in ("speaker_embedding", "voice_activity"):
        yield from check(repository, model, count=utterances)
    for model, (write, language) in RANDOM.items():
        with tempfile.TemporaryDirectory() as name:
            torch.manual_seed(0)
            source = Path(name) / "source"
            write(source)
            (Path(name) / "models" / model).mkdir(parents=True)
            export_model(
                Path(name) / "models", model, str(source), language=language, accept_licence=True
            )
            yield from check(Path(name) / "models", model, str(source), language, utterances)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=500)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[list[object]] = []
    figures: list[dict[str, object]] = []
    for parity in compare(ROOT / "model_repository", arguments.utterances):
        figures.append({**asdict(parity), "passed": parity.passed})
        verdict = "equal" if parity.passed else "DIFFERS"
        rows.append(
            [
                parity.model,
                parity.reference,
                f"{parity.difference:.1e}",
                f"{parity.limit:.0e}",
                verdict,
            ]
        )
        print(*rows[-1], sep="\t", flush=True)
    columns = ("model", "compared with", "difference", "limit", "verdict")
    text = f"{EXPLANATION}\n\n{table(columns, rows)}"
    path = write_result(
        "voice-parity", COMMAND, {"rows": figures}, text, "The voice models equal their sources"
    )
    print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
