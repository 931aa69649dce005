"""What the simulator says when a request or an input cannot be served. No HTTP and no rendering here."""

from __future__ import annotations


class ApiError(Exception):
    """An answer of the service that is not a success: HTTP status, `errorCode`, message and, maybe, field names."""

    def __init__(self, status: int, code: str, message: str, fields: list[str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, fields

    def body(self) -> list[dict[str, object]]:
        """The error as the REST API writes it: a list with one object."""
        error: dict[str, object] = {"message": self.message, "errorCode": self.code}
        if self.fields is not None:
            error["fields"] = self.fields
        return [error]


class OAuthError(Exception):
    """A login that was refused: `error` and `error_description` as the token endpoint writes them."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description


class InputError(Exception):
    """An export, a table or an option that cannot be used: what, where, and what to do, in one line."""

    def __init__(self, what: str, *, where: str, advice: str) -> None:
        self.what, self.where, self.advice = what, where, advice
        super().__init__(f"{where}: {what} {advice}")
