"""Errors that the registry answers with, in the form and by the codes of the distribution specification."""

import json
from collections.abc import Mapping
from enum import Enum


class Code(Enum):
    """The specification's codes, each with the status that it usually has and its message."""

    BLOB_UNKNOWN = (404, "blob unknown to registry")
    BLOB_UPLOAD_INVALID = (400, "blob upload invalid")
    BLOB_UPLOAD_UNKNOWN = (404, "blob upload unknown to registry")
    DIGEST_INVALID = (400, "provided digest did not match uploaded content")
    MANIFEST_BLOB_UNKNOWN = (400, "manifest references a manifest or blob unknown to registry")
    MANIFEST_INVALID = (400, "manifest invalid")
    MANIFEST_UNKNOWN = (404, "manifest unknown to registry")
    NAME_INVALID = (400, "invalid repository name")
    NAME_UNKNOWN = (404, "repository name not known to registry")
    SIZE_INVALID = (400, "provided length did not match content length")
    UNAUTHORIZED = (401, "authentication required")
    DENIED = (403, "requested access to the resource is denied")
    UNSUPPORTED = (405, "the operation is unsupported")
    TOOMANYREQUESTS = (429, "too many requests")


class RegistryError(Exception):
    """A request that can't be served: code of the specification, HTTP ``status``, and what it was about."""

    def __init__(
        self, code: Code, status: int | None = None, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Take the usual status of ``code`` unless another is given."""
        super().__init__(code.name, detail)
        self.code = code
        self.status = code.value[0] if status is None else status
        self.detail = detail
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the JSON that tells a client what is wrong."""
        error = {"code": self.code.name, "message": self.code.value[1], "detail": self.detail}
        return json.dumps({"errors": [error]}).encode()
