"""What rows say of something that was claimed."""

from enum import StrEnum


class Status(StrEnum):
    """Unsettled is what was tested and isn't decided by these rows; not testable is what they can't be asked."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNSETTLED = "unsettled"
    NOT_TESTABLE = "not testable"
