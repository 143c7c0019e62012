"""Who speaks: clustering the speaker embeddings of a whole recording.

Embeddings of short utterances say little: on telephone calls two turns of about a second by
one speaker are often further apart than turns of two speakers. So only utterances of
`MIN_ANCHOR_S` and more are clustered; every other one goes to the speaker whose mean voice
it resembles most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform

from voiceman.voices import MIN_ANCHOR_S, SAME_SPEAKER_SIMILARITY

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]

UNKNOWN = "UNKNOWN"  # nobody on the channel has an embedding
# The longest utterances of a recording that are clustered: bounds memory at 16 MB.
MAX_ANCHORS = 2_000
# Larger than every cosine distance, so that channels are merged last, which is never.
_OTHER_CHANNEL = 10.0


@dataclass(frozen=True)
class Speech:
    """The utterances of a recording, in any order.

    Attributes:
        embeddings: [u, d], unit length; rows with NaN have none.
        spans: [u, 2] start and end in the recording, seconds.
        channels: channel of every utterance; None: the recording is mixed down.
    """

    embeddings: Floats
    spans: Floats
    channels: Sequence[int | None]


@dataclass(frozen=True)
class SpeakerCount:
    """What the caller knows about the number of speakers of the whole recording.

    Attributes:
        exactly: the number; None: to be found.
        at_least: the fewest, where it is to be found.
        at_most: the most, where it is to be found.
    """

    exactly: int | None = None
    at_least: int | None = None
    at_most: int | None = None


def label_speakers(speech: Speech, count: SpeakerCount = SpeakerCount()) -> list[str]:
    """Name the speaker of every utterance.

    Channels never share a speaker, so there are at least as many speakers as channels; and
    never more than utterances with an embedding. An utterance without embedding is given to
    the speaker of the nearest utterance in time on its channel.

    Returns:
        SPEAKER_00, SPEAKER_01, ... in the order in which they first speak; UNKNOWN on a
        channel without any embedding. The order of the input does not matter.
    """
    if not len(speech.spans):
        return []
    _, channels = np.unique(
        [-1 if channel is None else channel for channel in speech.channels], return_inverse=True
    )
    order = np.lexsort((channels, speech.spans[:, 1], speech.spans[:, 0]))
    clusters = np.full(len(order), -1)
    clusters[order] = _cluster(
        speech.embeddings[order].astype(np.float64),
        speech.spans[order].astype(np.float64),
        channels[order],
        count,
    )
    names: dict[int, str] = {-1: UNKNOWN}
    for cluster in clusters[order]:
        names.setdefault(int(cluster), f"SPEAKER_{len(names) - 1:02d}")
    return [names[int(cluster)] for cluster in clusters]


def _cluster(
    embeddings: Floats, spans: Floats, channels: Integers, count: SpeakerCount
) -> Integers:
    """Cluster number of every utterance; -1: unknown."""
    clusters = np.full(len(spans), -1)
    known = np.flatnonzero(np.isfinite(embeddings).all(axis=1))
    if not len(known):
        return clusters
    durations = spans[:, 1] - spans[:, 0]
    anchors = _anchors(known, durations, channels, count)
    clusters[anchors] = _merge(embeddings[anchors], channels[anchors], count)
    centroids, homes = _centroids(embeddings, durations, channels, clusters)
    for row in np.setdiff1d(known, anchors):
        likeness = np.where(homes == channels[row], centroids @ embeddings[row], -np.inf)
        clusters[row] = np.argmax(likeness)
    for row in np.setdiff1d(np.arange(len(spans)), known):
        neighbours = known[channels[known] == channels[row]]
        if len(neighbours):
            gaps = np.maximum(
                spans[neighbours, 0] - spans[row, 1], spans[row, 0] - spans[neighbours, 1]
            )
            clusters[row] = clusters[neighbours[np.argmin(gaps)]]
    return clusters


def _anchors(
    known: Integers, durations: Floats, channels: Integers, count: SpeakerCount
) -> Integers:
    """The utterances to cluster: long ones, and the longest where there are too few."""
    by_duration = known[np.argsort(-durations[known], kind="stable")]
    needed = max(count.exactly or count.at_least or 0, 2)
    long = by_duration[durations[by_duration] >= MIN_ANCHOR_S][:MAX_ANCHORS]
    _, longest_of_channel = np.unique(channels[by_duration], return_index=True)
    return np.unique(np.concatenate([long, by_duration[:needed], by_duration[longest_of_channel]]))


def _merge(embeddings: Floats, channels: Integers, count: SpeakerCount) -> Integers:
    """Average linkage on cosine distance, cut at the wanted or the found number."""
    rows = len(embeddings)
    if rows == 1:
        return np.zeros(1, np.intp)
    distances = np.clip(1.0 - embeddings @ embeddings.T, 0.0, 2.0)
    distances[channels[:, np.newaxis] != channels] = _OTHER_CHANNEL
    np.fill_diagonal(distances, 0.0)
    merges = linkage(squareform(distances, checks=False), method="average")
    found = 1 + int((merges[:, 2] > 1.0 - SAME_SPEAKER_SIMILARITY).sum())
    wanted = count.exactly or min(max(found, count.at_least or 1), count.at_most or rows)
    wanted = min(max(wanted, len(np.unique(channels))), rows)
    return cut_tree(merges, n_clusters=wanted)[:, 0]


def _centroids(
    embeddings: Floats, durations: Floats, channels: Integers, clusters: Integers
) -> tuple[Floats, Integers]:
    """Mean voice of every cluster, utterances weighted by duration, and its channel."""
    numbers = range(int(clusters.max()) + 1)
    sums = np.stack([durations[clusters == n] @ embeddings[clusters == n] for n in numbers])
    homes = np.array([channels[np.argmax(clusters == n)] for n in numbers])
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12), homes
