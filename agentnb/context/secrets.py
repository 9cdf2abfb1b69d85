"""Secrets out of what a model is told unasked: those that are known, and what has the name or the look of one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agentnb.context.parts import Masking
from agentnb.masking import MASKED, Mask
from agentnb.models.key_shapes import with_known_keys

_NAMES = r"api_?key|access_?key|secret|token|password|passwd|pwd|passphrase|credential"
_SECRET = re.compile(rf"(?i)(?:^|_)(?:{_NAMES})s?(?:_|\d|$)")
#: Names that are as often those of something else: a column, a header's kind.
_MAYBE = re.compile(r"(?i)(?:^|_)(?:key|auth)(?:_|\d|$)")
#: Characters: what is longer is no secret, but a text that is called so.
_LONGEST = 10_000
_KEY_LIKE = re.compile(r"(?=.*\d)\S{12,}")
#: `password = "…"` in code, JSON or YAML. What repeats is bounded: a file from elsewhere must not keep a cell waiting.
_ASSIGNED = re.compile(rf"""(?i)((?:{_NAMES})\w{{0,20}}["']?\]?\s{{0,4}}[=:]\s{{0,4}})(["'])[^"'\n]{{4,400}}\2""")
_PASSWORD = re.compile(r"(?<=://)[^/\s:@'\"]{0,100}:[^@\s'\"]{1,100}(?=@)")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}-----|\Z)", re.DOTALL)


def guarded(mask: Masking, namespace: Mapping[str, object]) -> Masking:
    """A mask that also takes out keys by their shape, passwords, private keys, and what variables hold of that kind."""
    variables = tuple(namespace.items())
    held = Mask(
        *(value for name, value in variables if type(value) is str and len(value) < _LONGEST and is_secret(name, value))
    )
    known = with_known_keys(lambda text: held(mask(text)))

    def guard(text: str) -> str:
        text = _ASSIGNED.sub(rf"\1\2{MASKED}\2", known(text))
        return _PRIVATE_KEY.sub(MASKED, _PASSWORD.sub(MASKED, text))

    return guard


def is_secret(name: object, value: object) -> bool:
    """Whether a variable holds a secret, by its name, and by the look of its value where the name does not decide."""
    # By its exact type: an object of the user's may do anything where it is asked what it is an instance of.
    if type(value) not in (str, bytes) or not isinstance(name, str):
        return False
    if _SECRET.search(name):
        return True
    return bool(_MAYBE.search(name)) and isinstance(value, str) and bool(_KEY_LIKE.fullmatch(value[:_LONGEST]))
