"""Word times of openai-whisper on this project's windows, as JSON on standard output.

python -m perf.peers.openai_words --threads 2 --only ko,en
"""

import argparse
import json

from perf.peers.openai_whisper_engine import load_model, transcribe
from perf.peers.windowing import Windowing
from perf.whisper_corpus import load_corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="languages, separated by commas")
    arguments = parser.parse_args()
    model = load_model(arguments.threads)
    recordings = load_corpus([name for name in arguments.only.split(",") if name])
    words = [
        [
            {"word": word["word"], "start": float(word["start"]), "end": float(word["end"])}
            for segment in transcribe(
                model, window.waveform, window.language, word_timestamps=True
            )["segments"]
            for word in segment["words"]
        ]
        for window in Windowing(arguments.threads).cut(recordings)
    ]
    print(json.dumps(words))


if __name__ == "__main__":
    main()
