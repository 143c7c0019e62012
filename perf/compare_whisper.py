"""Whisper here and in transformers: the same weights, windows, rules and threads.

    python -m perf.compare_whisper [--threads 1] [--batch 8] [--only ko,librivox]

Real speech (Korean calls, ten other languages, LibriVox, a telephone call) is cut into windows
of at most 30 s at quiet places. Each window is decoded greedily with timestamps and detected
language by the engine (fp32, `--batch` slots) and by transformers' `generate` (fp32, batches of
the same size). "raw" compares one decode of the window, token by token and as text: the seeking
inside a window differs between the two and is switched off in transformers. "final" compares
the engine's text after it has decoded on with transformers' own seeking. Error rates exist where
a reference text ships with the data. Which of the two begins alternates from group to group;
both run in this process, never at the same time; the engine's time includes word alignment.
"""

import argparse
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from perf.peers.interface import MAX_NEW_TOKENS, WEIGHTS
from perf.record import ROOT, table, write_result
from perf.telephone_call import plain, read_stm
from perf.whisper_corpus import CALLS, CLIPS, clip_paths
from voiceman.audio import SAMPLE_RATE_HZ, Waveform, to_float32
from voiceman.options import WindowOptions
from voiceman.serving.whisper.checkpoint import load_checkpoint
from voiceman.serving.whisper.engine import Engine, EngineSettings
from voiceman.serving.whisper.window import Window, WindowResult
from voiceman_client.decode import decode
from voiceman_client.windows import plan_windows
from voiceman_export.assets import fetch

EXPLANATION = __doc__.split("\n\n")[2].strip()
COMMAND = "python -m perf.compare_whisper"
OPTIONS = WindowOptions(max_new_tokens=MAX_NEW_TOKENS, temperatures=(0.0,))


@dataclass(frozen=True)
class Group:
    """Windows of one language or asset; `references` by recording, where there are any."""

    name: str
    windows: list[Waveform]
    recordings: list[int]  # of every window
    references: list[str]

    @property
    def audio_s(self) -> float:
        """Seconds of sound."""
        return sum(map(len, self.windows)) / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Decoded:
    """Tokens and text of one decode per window, final texts, and what it cost."""

    raw_tokens: list[list[int]]
    raw_texts: list[str]
    texts: list[str]
    wall_s: float
    cpu_s: float


def group_of(name: str, paths: Sequence[Path], references: Sequence[str] = ()) -> Group:
    """Recordings cut into windows."""
    windows: list[Waveform] = []
    recordings: list[int] = []
    for index, path in enumerate(paths):
        for waveform in decode(path, "mix").waveforms:
            everything = np.array([[0.0, len(waveform) / SAMPLE_RATE_HZ]])
            for span in plan_windows(everything, waveform):
                windows.append(to_float32(waveform[span.start : span.end]))
                recordings.append(index)
    return Group(name, windows, recordings, list(references))


def groups() -> list[Group]:
    """All speech of the comparison."""
    calls = fetch(CALLS)
    found = [group_of(language, clip_paths(calls, own)) for language, own in CLIPS.items()]
    librivox = fetch("librivox")
    lines = (librivox / "transcription").read_text(encoding="utf-8").splitlines()
    texts = dict(re.findall(r"<s> (.*) </s> \((.*)\)", line)[0][::-1] for line in lines if line)
    paths = [librivox / f"{name}.wav" for name in sorted(texts)]
    found.append(group_of("librivox", paths, [texts[path.stem] for path in paths]))
    call = fetch("telephone-call")
    spoken = " ".join(" ".join(passage.words) for passage in read_stm(call / "sample.stm"))
    found.append(group_of("telephone-call", [call / "sample.wav"], [spoken]))
    return found


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """A result, its wall seconds and its CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def run_engine(group: Group, engine: Engine, tokenizer: Tokenizer) -> Decoded:
    """The group through the engine."""

    def work() -> list[WindowResult]:
        futures = [engine.submit(Window(window, options=OPTIONS)) for window in group.windows]
        return [future.result() for future in futures]

    results, wall_s, cpu_s = timed(work)
    raw = [list(result.tokens[0]) for result in results]
    texts = [
        " ".join(segment["text"] for segment in result.transcript["segments"]) for result in results
    ]
    return Decoded(raw, [text_of(tokens, tokenizer) for tokens in raw], texts, wall_s, cpu_s)


class Transformers:
    """The other side."""

    def __init__(self, tokenizer: Tokenizer, batch: int) -> None:
        self.tokenizer, self.batch = tokenizer, batch
        self.model = WhisperForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32)
        self.model.eval()
        self.features = WhisperFeatureExtractor.from_pretrained(WEIGHTS)

    def tokens(self, windows: Sequence[Waveform], single: bool) -> list[list[int]]:
        """Generated tokens of windows; `single`: one decode each, no seeking."""
        end = self.model.generation_config.eos_token_id
        found: list[list[int]] = []
        for first in range(0, len(windows), self.batch):
            batch = list(windows[first : first + self.batch])
            inputs = self.features(batch, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
            with torch.inference_mode():
                generated = self.model.generate(
                    inputs.input_features,
                    return_timestamps=True,
                    task="transcribe",
                    max_new_tokens=MAX_NEW_TOKENS,
                    num_beams=1,
                    do_sample=False,
                    force_unique_generate_call=single,
                )
            found += [[token for token in row if token != end] for row in generated.tolist()]
        return [self._without_prompt(tokens) for tokens in found]

    def _without_prompt(self, tokens: list[int]) -> list[int]:
        task = self.model.generation_config.task_to_id["transcribe"]
        return tokens[tokens.index(task) + 1 :] if task in tokens else tokens

    def run(self, group: Group) -> Decoded:
        """The group through transformers; only the single decodes are timed."""
        raw, wall_s, cpu_s = timed(lambda: self.tokens(group.windows, single=True))
        final = self.tokens(group.windows, single=False)
        texts = [[text_of(tokens, self.tokenizer) for tokens in side] for side in (raw, final)]
        return Decoded(raw, *texts, wall_s, cpu_s)


def text_of(tokens: Sequence[int], tokenizer: Tokenizer) -> str:
    """Text of the tokens that are not special."""
    return tokenizer.decode(list(tokens), skip_special_tokens=True)


def normal(text: str) -> str:
    """Text without spaces: how segments are joined says nothing about what was heard."""
    return "".join(text.split())


def share(left: Sequence[Any], right: Sequence[Any]) -> float:
    """Share of equal pairs."""
    return float(np.mean([a == b for a, b in zip(left, right, strict=True)]))


def error_rates(group: Group, texts: Sequence[str]) -> dict[str, float]:
    """Word and character error rate over all recordings of a group with references."""
    spoken = [" ".join(plain(reference)) for reference in group.references]
    heard = [
        " ".join(plain(" ".join(t for t, r in zip(texts, group.recordings, strict=True) if r == i)))
        for i in range(len(spoken))
    ]
    return {
        "word_error_rate": round(jiwer.wer(spoken, heard), 4),
        "character_error_rate": round(jiwer.cer(spoken, heard), 4),
    }


def compare(group: Group, ours: Decoded, theirs: Decoded) -> dict[str, Any]:
    """The figures of one group."""
    final = [list(map(normal, side.texts)) for side in (ours, theirs)]
    figures: dict[str, Any] = {
        "group": group.name,
        "windows": len(group.windows),
        "audio_s": round(group.audio_s, 1),
        "raw_tokens_equal": share(ours.raw_tokens, theirs.raw_tokens),
        "raw_text_equal": share(ours.raw_texts, theirs.raw_texts),
        "final_text_equal": share(*final),
        "characters": {"voiceman": len("".join(final[0])), "transformers": len("".join(final[1]))},
    }
    for name, side in (("voiceman", ours), ("transformers", theirs)):
        figures[name] = {"wall_s": round(side.wall_s, 2), "cpu_s": round(side.cpu_s, 2)}
        if group.references:
            figures[name] |= error_rates(group, side.texts)
    return figures


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums over all groups; shares are over windows."""
    windows, audio_s = sum(r["windows"] for r in rows), sum(r["audio_s"] for r in rows)
    total: dict[str, Any] = {"windows": windows, "audio_s": round(audio_s, 1)}
    for name in ("raw_tokens_equal", "raw_text_equal", "final_text_equal"):
        total[name] = round(sum(r[name] * r["windows"] for r in rows) / windows, 4)
    for side in ("voiceman", "transformers"):
        wall_s, cpu_s = (sum(r[side][key] for r in rows) for key in ("wall_s", "cpu_s"))
        total[side] = {
            "rtfx": round(audio_s / wall_s, 2),
            "cpu_s_per_audio_s": round(cpu_s / audio_s, 4),
        }
    return total


def as_text(rows: Sequence[dict[str, Any]], total: dict[str, Any]) -> str:
    """The tables for people."""
    columns = ("group", "windows", "audio_s", "raw tokens", "raw text", "final text", "characters")
    shares = ("raw_tokens_equal", "raw_text_equal", "final_text_equal")
    lines: list[Sequence[object]] = [
        [
            *(row[key] for key in ("group", "windows", "audio_s")),
            *(f"{row[key]:.3f}" for key in shares),
            "{voiceman} / {transformers}".format(**row["characters"]),
        ]
        for row in rows
    ]
    lines.append(
        ["all", total["windows"], total["audio_s"], *(f"{total[k]:.3f}" for k in shares), ""]
    )
    sides = ("voiceman", "transformers")
    errors = [
        [row["group"], side, row[side]["word_error_rate"], row[side]["character_error_rate"]]
        for row in rows
        for side in sides
        if "word_error_rate" in row[side]
    ]
    speed = [[side, *total[side].values()] for side in sides]
    return (
        f"{EXPLANATION}\n\n"
        f"Share of equal windows:\n\n{table(columns, lines)}\n"
        f"Error rates of the final texts:\n\n"
        f"{table(('group', 'engine', 'word error rate', 'character error rate'), errors)}\n"
        f"Speed (RTFx depends on what else the machine did; CPU-seconds hardly do):\n\n"
        f"{table(('engine', 'RTFx', 'CPU-seconds per audio second'), speed)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each side")
    parser.add_argument("--batch", type=int, default=8, help="slots, and transformers' batch")
    parser.add_argument("--only", default="", help="groups, separated by commas")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    checkpoint = load_checkpoint(WEIGHTS)
    other = Transformers(checkpoint.tokenizer, arguments.batch)
    wanted = arguments.only.split(",") if arguments.only else None
    rows: list[dict[str, Any]] = []
    settings = EngineSettings(arguments.batch, line=arguments.batch, workers=arguments.threads)
    with Engine(checkpoint, settings, torch.device("cpu")) as engine:
        for group in groups():
            if wanted and group.name not in wanted:
                continue
            sides: dict[str, Callable[[Group], Decoded]] = {
                "voiceman": lambda g: run_engine(g, engine, checkpoint.tokenizer),
                "transformers": other.run,
            }
            order = list(sides) if len(rows) % 2 == 0 else list(sides)[::-1]
            found = {side: sides[side](group) for side in order}
            rows.append(compare(group, found["voiceman"], found["transformers"]))
            print(rows[-1], flush=True)
    total = summarise(rows)
    text = as_text(rows, total)
    if not wanted:
        figures = {"threads": arguments.threads, "batch": arguments.batch}
        figures |= {"total": total, "groups": rows}
        path = write_result(
            "whisper-parity", COMMAND, figures, text, "Whisper here and in transformers"
        )
        print(f"written to {path.relative_to(ROOT)}")
    print(text)


if __name__ == "__main__":
    main()
