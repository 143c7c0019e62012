"""From what a row has said to the decode that is kept: segments and where their words are."""

from voiceman.serving.whisper.alignment import Matrix, count_frames, silent_row
from voiceman.serving.whisper.batch import Batch
from voiceman.serving.whisper.fallback import Attempt
from voiceman.serving.whisper.job import Job
from voiceman.serving.whisper.prompt import task_prompt
from voiceman.serving.whisper.segments import Split
from voiceman.serving.whisper.transcript import Decode


def read_decode(batch: Batch, job: Job, said: Attempt) -> tuple[Decode, float | None]:
    """The decode of a job whose slot still holds the sound, and where to decode on.

    Returns:
        The decode; and seconds from where it began, or None: the window is done.
    """
    split = job.split(said, batch.checkpoint)
    decode = Decode(
        offset_s=job.offset_s,
        end_s=job.offset_s + split.reach_s,
        said=said,
        attempts=len(job.attempts),
        spans=split.spans,
        complete=said.ended or split.resume_s is not None,
        attention=_attention(batch, job, said, split),
    )
    return decode, split.resume_s


def _attention(batch: Batch, job: Job, said: Attempt, split: Split) -> Matrix:
    """Attention of the segments that are kept, up to where they reach."""
    special = batch.checkpoint.special
    kept = said.tokens[: split.spans[-1].last]
    text = [token for token in kept if token < special.end_of_text]
    reach = count_frames(split.reach_s)
    if not text:
        return silent_row(reach)
    prompt = [*task_prompt(special, job.language), special.no_timestamps]
    frames = count_frames(job.sound_s)
    return batch.attention(job.slot, prompt, text, frames)[:, :reach]
