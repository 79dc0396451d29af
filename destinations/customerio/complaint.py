"""What Customer.io complains about when it refuses a message.

Sources: the Pipelines API reference has `{"meta": {"errors": […]}}` and, among its schemas,
`{"errors": [{"reason", "field", "message"}]}`; the vendor's Python client reads `{"code",
"message"}`, and its documentation of invalid requests shows `{"meta": {"error": …}}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from destinations.complaint import Complaint, first_object

# Texts start with what they are about: "userId must be a string", "email: is not valid".
_ABOUT = re.compile(r"([\w.]+)(?:: )?")


def explain(answer: Mapping[str, Any]) -> Complaint:
    if one := first_object(answer.get("errors")):
        return Complaint.of(one.get("reason"), one.get("field"), one.get("message"))
    meta = answer.get("meta")
    found = meta if isinstance(meta, dict) else {}
    errors = found.get("errors")
    text = errors[0] if isinstance(errors, list) and errors else found.get("error")
    if not isinstance(text, str):
        return Complaint.of(answer.get("code"), None, answer.get("message"))
    about = _ABOUT.match(text)
    if about is None:
        return Complaint(text=text)
    said = text[about.end() :] if about[0].endswith(": ") else text
    return Complaint.of(None, about[1], said)
