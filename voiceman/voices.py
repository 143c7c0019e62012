"""When two speaker embeddings are taken for one person's; for the server and the client.

Nothing here is calibrated: no share of errors belongs to any of these numbers.
"""

# Clusters of turns whose mean cosine similarity is lower are different speakers. Set between
# what turns of 2 s and more showed on 64 clips in 11 languages: by one speaker 0.74 (median), by
# two speakers of a call below 0.27 (three pairs of four), of two clips below 0.39 (99 of 100).
# Uncalibrated: the turns were the segmentation's own.
SAME_SPEAKER_SIMILARITY = 0.4
# Shorter turns say more about what is said than about who says it. Uncalibrated.
MIN_ANCHOR_S = 2.0
# From here on a speaker bears the name of an enrolled voice. Higher than between the turns of
# one recording, because a wrong name is worse than none. Uncalibrated.
SAME_VOICE_SIMILARITY = 0.5
# The least speech of one person alone that a voice is enrolled with. Uncalibrated.
MIN_ENROLLED_S = 10.0
