"""Results for the tests of reports: valid by the schema, made up, with everything in them."""

import copy
import random

FEATURES = {
    "f0_mean_hz": 182.4,
    "f0_sd_hz": 31.2,
    "jitter_local": 0.0121,
    "shimmer_local": 0.071,
    "hnr_db": 14.2,
    "intensity_mean_db": 66.3,
    "articulation_rate_syllables_per_s": 4.81,
    "pause_total_s": None,
}
NO_WEIGHTS = "no weights: run voiceman-export emotion-dimensional --checkpoint FOLDER_OR_NAME"
WEIGHTS = {"crime_language": 0.85, "anger": 0.25, "arousal": 0.15, "negative_valence": 0.15}
KOREAN = [
    "여보세요, 누구십니까?",
    "너희 집 어딘지 다 알고 있어. 돈 안 보내면 영상 다 뿌릴 거야.",
    "그런 말씀 마세요. 경찰에 신고할 겁니다.",
    "드라마에서 주인공이 죽여버린다고 소리치더라.",
    "알겠습니다. 내일 다시 전화드리겠습니다.",
]
FOUND = {
    1: [
        ("threat", "너희 집 어딘지 다 알고 있어", 0.9),
        ("extortion", "돈 안 보내면 영상 다 뿌릴", 1.0),
    ],
    3: [("threat", "죽여버린다고", 0.2)],
}


def finding(text, category, passage, weight):
    start = text.index(passage)
    return {
        "category": category,
        "pattern_id": f"ko-{category}",
        "start": start,
        "end": start + len(passage),
        "text": passage,
        "severity": 0.8,
        "weight": weight,
        "context": "said as it stands" if weight >= 0.5 else "a story or a game",
    }


def component(name, value, weight, reason="counted"):
    return {"name": name, "value": value, "weight": weight, "reason": reason}


def score(value, start=0.0, end=1.0, speaker=None):
    item = {"start": start, "end": end, "component": "crime_language", "points": value}
    item["detail"] = "threat (ko-threat): severity 0.8, weight 0.9"
    if speaker:
        item["speaker"] = speaker
    components = [
        component(name, round(value / 100, 2), weight) for name, weight in WEIGHTS.items()
    ]
    components.append(component("voice_stress", None, 0.15, "too little speech for a baseline"))
    return {
        "value": value,
        "coverage": 0.9,
        "components": components,
        "evidence": [item] if value else [],
    }


def stress(value):
    return {
        "value": value,
        "reason": "7 features against 12 other utterances, 41 s",
        "contributions": [
            {
                "feature": "f0_mean_hz",
                "value": 182.4,
                "baseline": 150.1,
                "z": 2.1,
                "contribution": 0.3,
            }
        ],
    }


def cross_validation(discrepancy=None):
    found = [{"name": discrepancy, "detail": "claimed .1, heard .8"}] if discrepancy else []
    return {
        "agreement": 0.42,
        "reason": "3 readings",
        "sentiment": -0.6,
        "intensity": 0.7,
        "menace": 0.9,
        "comparisons": [{"reading": "arousal", "claimed": 0.1, "heard": 0.8, "weight": 1.0}],
        "discrepancies": found,
    }


def utterance(start, end, text, speaker, *, findings=(), level=0.3, overlap=0.0):
    strong = [found for found in findings if found["weight"] >= 0.5]
    return {
        "start": start,
        "end": end,
        "overlap": overlap,
        "text": text,
        "words": [{"word": text.split()[0], "start": start, "end": end, "score": 0.9}],
        "findings": list(findings),
        "emotion_dimensional": {"arousal": level, "dominance": 0.5, "valence": 1 - level},
        "emotion_categorical": {"neutral": 0.5, "anger": 0.3, "happiness": 0.1, "sadness": 0.1},
        "voice_features": dict(FEATURES),
        "f0_contour": {"start": start, "step": 0.02, "f0_hz": [180.0, None, 181.0]},
        "score": score(71.5 if strong else 4.0, start, end),
        "unavailable": {},
        "stress": stress(round(level * 0.9, 3)),
        "cross_validation": cross_validation("threatening_words_calm_voice" if strong else None),
        "speaker": speaker,
    }


def speaker(name, utterances, value):
    return {
        "id": name,
        "utterances": utterances,
        "speech": 3.4 * utterances,
        "channel": None,
        "voice_features": dict(FEATURES),
        "score": score(value),
    }


def provenance(file, duration):
    weights = {"name": "whisper-base", "version": "1", "precision": "fp16", "sha256": "2" * 64}
    return {
        "source": {
            "file": file,
            "sha256": "0" * 64,
            "size_bytes": 430562,
            "container": "wav",
            "codec": "pcm_s16le",
            "sample_rate_hz": 8000,
            "channels": 1,
            "decoder": "PyAV 18.1.0",
        },
        "duration": duration,
        "pcm_sha256": "1" * 64,
        "channels": [None],
        "voiceman": "0.1.0",
        "options": {"language": "auto", "speakers": None},
        "server": {"name": "triton", "version": "2.51.0"},
        "models": {"whisper": {"version": "1", "weights": weights}, "utterances": {"version": "1"}},
    }


def conversation(file="/evidence/통화 1.wav", texts=KOREAN, found=FOUND):
    """Two people on the telephone: findings, a mention, overlap, a flag, every model's answer."""
    utterances = []
    for index, text in enumerate(texts):
        hits = [finding(text, *what) for what in found.get(index, [])]
        spoken = utterance(
            4.0 * index + 0.5,
            4.0 * index + 4.2,
            text,
            f"SPEAKER_{index % 2:02d}",
            findings=hits,
            level=0.2 + 0.15 * (index % 5),
            overlap=0.2 if index == 2 else 0.0,
        )
        utterances.append(spoken)
    duration = 4.0 * len(texts) + 3
    turns = [
        {
            "start": u["start"],
            "end": u["end"],
            "speaker": u["speaker"],
            "overlap": 0.2,
            "channel": None,
        }
        for u in utterances
    ]
    return {
        "schema": "voiceman.result/1",
        "language": "ko",
        "segments": [],
        "word_segments": [],
        "utterances": utterances,
        "speakers": [
            speaker("SPEAKER_00", 3, 4.0)
            | {"voice": {"name": "김 아무개", "similarity": 0.71, "threshold": 0.5}},
            speaker("SPEAKER_01", 2, 71.5) | {"voice": None},
        ],
        "speaker_turns": turns,
        "speech": duration - 4,
        "speech_with_text": 0.93,
        "score": score(71.5, 4.5, 8.2, "SPEAKER_01"),
        "windows": [],
        "flags": [{"kind": "low_confidence", "start": 8.5, "end": 9.5, "detail": "logprob -1.2"}],
        "unavailable": {},
        "notes": {"score": "The score is a reading aid. It is no verdict and no proof."},
        "provenance": provenance(file, duration),
    }


def with_nulls(result):
    """The same result where nothing could be computed that may be missing; all with reasons."""
    result = copy.deepcopy(result)
    result |= {"language": None, "speech": None, "speech_with_text": None}
    result["unavailable"] = {
        "emotion_dimensional": NO_WEIGHTS,
        "emotion_categorical": "categorical: no weights",
        "speech": "reason of speech",
        "speech_with_text": "reason of coverage",
        "language": "reason of language",
    }
    empty = score(0.0)
    empty |= {"value": None, "coverage": 0.0, "evidence": []}
    empty["components"] = [component(name, None, 0.2, f"reason of {name}") for name in WEIGHTS]
    result["score"] = empty
    for item in result["speakers"]:
        item["score"] = empty
        item["voice_features"] = None
    for item in result["utterances"]:
        for name in ("emotion_dimensional", "emotion_categorical", "voice_features", "f0_contour"):
            item[name] = None
        item["overlap"] = None
        item["score"] = empty
        item["stress"] = {"value": None, "reason": "reason of stress", "contributions": []}
        item["cross_validation"] = cross_validation() | {
            "agreement": None,
            "reason": "reason of agreement",
            "sentiment": None,
            "intensity": None,
            "menace": None,
            "comparisons": [],
        }
        item["unavailable"] = {
            "emotion_dimensional": NO_WEIGHTS,
            "emotion_categorical": "categorical: no weights",
            "voice_features": "reason of features",
            "overlap": "reason of overlap",
        }
    return result


def without_speech():
    """A recording in which nobody speaks."""
    result = conversation(texts=[])
    result |= {"language": None, "speech": 0.0, "speech_with_text": None, "speakers": []}
    result["score"] = {"value": None, "coverage": 0.0, "components": [], "evidence": []}
    result["flags"] = [{"kind": "no_speech", "start": 0.0, "end": 3.0, "detail": ""}]
    result["unavailable"] = {"recording": "no speech was found"}
    return result


def long_recording(utterances=5000, hours=3.0):
    """Hours of talk: many lines, many findings, many turns."""
    dice = random.Random(7)
    result = conversation()
    step = hours * 3600 / utterances
    made = []
    for index in range(utterances):
        kind = dice.randrange(40)
        text = KOREAN[kind % 5] if kind < 3 else " ".join(dice.sample(KOREAN[0:5:2], 2))
        hits = [finding(text, *what) for what in FOUND.get(kind, [])] if kind < 3 else []
        who = f"SPEAKER_{dice.randrange(4):02d}"
        start = round(index * step, 3)
        made.append(
            utterance(start, round(start + step, 3), text, who, findings=hits, level=dice.random())
        )
    result["utterances"] = made
    result["speaker_turns"] = [
        {
            "start": u["start"],
            "end": u["end"],
            "speaker": u["speaker"],
            "overlap": 0.0,
            "channel": None,
        }
        for u in made
    ]
    result["speakers"] = [speaker(f"SPEAKER_{n:02d}", 100, 10.0 * n) for n in range(4)]
    result["provenance"]["duration"] = hours * 3600
    return result
