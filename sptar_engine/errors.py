"""Every error the engine raises on purpose, each with one sentence for the person who reads it.

The command line maps them to exit codes: input and configuration 2, everything else 1, `Cancelled` 130.
"""


class SptarError(Exception):
    """Base of all errors with a message fit for a user."""


class InputError(SptarError):
    """The data given is not usable. The message names the file, the line and what is allowed."""


class LeakError(InputError):
    """The same query or the same (query, document) pair stands in two splits."""


class ConfigError(SptarError):
    """An option is unknown or out of range.

    `option` is the dotted name, such as `filter.top_k`; `reason` says what is allowed.
    """

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"{option}: {reason}")
        self.option = option
        self.reason = reason


class StageError(SptarError):
    """A stage could not finish although its input was good (a full disk, too little memory, Java missing)."""


class ArtifactError(SptarError):
    """A stored file is missing, cut short or not what its checksum says."""


class StaleAttempt(SptarError):
    """Another attempt owns this stage by now; nothing of this one was kept."""


class Cancelled(SptarError):
    """The run was asked to stop. What was finished stays and is used by the next run."""
