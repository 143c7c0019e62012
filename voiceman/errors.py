"""Every error that voiceman raises on purpose.

    VoicemanError
    ├── InvalidRequestError       the caller sent something no model can work on
    ├── RecordingError            one recording cannot be processed; names the file
    │   ├── RecordingNotFoundError     no such file, or a folder without recordings
    │   ├── RecordingUnreadableError   no permission, empty, not audio, or damaged
    │   ├── NoAudioError               a container without a sound track
    │   ├── RecordingLimitError        more bytes, sound, memory or time than one may take
    │   ├── RecordingTooShortError     less sound than any model can work on
    │   └── SeveralSpeakersError       more than one voice where there must be one
    ├── ResultNotWrittenError     an output file could not be written (disk full, no permission)
    ├── ResultUnreadableError     a file is no result, or none of this version
    ├── RunLogError               the log of a results folder is in use, or was changed
    ├── LedgerError               the ledger of a results folder is damaged, or of another version
    ├── WeightsError              weights are missing, altered, or of an unknown layout
    │   ├── HashMismatchError          a download or file differs from its pinned SHA-256
    │   └── LicenceNotAcceptedError    weights whose licence the user must accept first
    ├── EnvironmentCheckError     this machine cannot run the server; says what to install
    ├── ConfigurationError        a setting has a value that cannot work; names the setting
    ├── ModelMemoryError          there is no memory left to answer a request
    └── ServerError               the server failed a request
        ├── ServerUnreachableError     nobody answers at this address
        ├── ServerNotReadyError        it answers, but its models do not work yet
        ├── QueueFullError             the server's queue is full; try again later
        ├── DeadlineExceededError      no answer in the time allowed
        │   └── PastDeadlineError          the server found it late, by its own clock
        └── RequestCancelledError      the caller did not wait for the answer

A message names the file, the value and the limit, and what to do about it.
"""


class VoicemanError(Exception):
    """Base of all errors raised on purpose."""


class InvalidRequestError(VoicemanError):
    """The caller sent a tensor, option or language that no model can work on."""


class RecordingError(VoicemanError):
    """One recording cannot be processed; others are not affected."""


class RecordingNotFoundError(RecordingError):
    """There is no such file, or a folder holds no recordings."""


class RecordingUnreadableError(RecordingError):
    """The file cannot be read: no permission, empty, not audio, or damaged."""


class NoAudioError(RecordingError):
    """The container has no sound track."""


class RecordingLimitError(RecordingError):
    """The recording takes more bytes, sound, memory or time than one recording may."""


class RecordingTooShortError(RecordingError):
    """The recording holds less sound than any model can work on."""


class SeveralSpeakersError(RecordingError):
    """The recording holds more than one voice where there must be one."""


class ResultNotWrittenError(VoicemanError):
    """An output file could not be written."""


class ResultUnreadableError(VoicemanError):
    """A file cannot be read as a result of this version."""


class RunLogError(VoicemanError):
    """The log of a results folder is in use by another run, or its chain is broken."""


class LedgerError(VoicemanError):
    """The ledger of a results folder is damaged, or of another version."""


class WeightsError(VoicemanError):
    """Weights are missing, altered, or of an unknown layout."""


class HashMismatchError(WeightsError):
    """A download or a file differs from its pinned SHA-256."""


class LicenceNotAcceptedError(WeightsError):
    """The licence of these weights must be accepted by the user first."""


class EnvironmentCheckError(VoicemanError):
    """This machine cannot run the server as it is."""


class ConfigurationError(VoicemanError):
    """A setting has a value that cannot work here."""


class ModelMemoryError(VoicemanError):
    """There is no memory left for what a request needs, however little is done at once."""


class ServerError(VoicemanError):
    """The server failed a request."""


class ServerUnreachableError(ServerError):
    """Nobody answers at the server's address."""


class ServerNotReadyError(ServerError):
    """The server answers, but its models do not work yet."""


class QueueFullError(ServerError):
    """The server's queue is full; the request may be sent again later."""


class DeadlineExceededError(ServerError):
    """No answer came in the time allowed."""


class PastDeadlineError(DeadlineExceededError):
    """The server found the deadline of a request passed; its clock may be another."""


class RequestCancelledError(ServerError):
    """The caller went away before the answer was there."""
