"""What a refusal is about, in the codes and words of many vendors: money, a quota, the prompt's length, the key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

#: "moment": it may pass; "page": a web page came in place of an answer.
Topic: TypeAlias = Literal["money", "quota", "length", "key", "moment", "page"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CODES: Mapping[Topic, frozenset[str]] = {
    "money": _words(
        """insufficient_quota billing_hard_limit_reached billing_not_active billing_error insufficient_balance
        insufficient_credits insufficient_funds exceeded_current_quota_error payment_required arrearage
        prepaidbilloverdue postpaidbilloverdue commoditynotpurchased allocationquota.freetieronly
        servicequotaexceededexception 1113"""
    ),
    "quota": _words("1304 1308 1310"),
    "length": _words(
        "context_length_exceeded exceed_context_size_error request_too_large string_above_max_length 1261"
    ),
    "key": _words(
        """invalid_api_key authentication_error invalid_authentication_error unauthenticated invalidapikey
        api_key_invalid unrecognizedclientexception invalidsignatureexception expiredtokenexception"""
    ),
    "moment": _words(
        """server_error internal_error internal_server_error internal overloaded overloaded_error unavailable
        service_unavailable rate_limit rate_limit_exceeded rate_limit_error rate_limit_reached_error
        resource_exhausted deadline_exceeded aborted api_error timeout timeout_error request_timeout requesttimeout
        engine_overloaded_error engine_overloaded modelservingerror serviceunavailable serviceunavailableexception
        modelnotreadyexception modeltimeoutexception internalserverexception too_many_requests 1302 1303 1305
        1312"""
    ),
}
#: DashScope's, AWS's and Azure's: InternalError.Timeout, ThrottlingException, Throttling.RateQuota.
_PASSING = ("throttl", "internalerror", "toomanyrequests")

_MONEY = re.compile(
    r"credit balance|insufficient\s+(?:account\s+|api\s+)?(?:balance|credits?|funds|quota)|"
    r"(?:out of|any|all available|more|add|purchase|buy) credits|spend(?:ing)? limit|billing hard limit|"
    r"in arrears|overdue[ -]payment|good standing|余额不足|欠费",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    r"(?:exceed|maximum|longer than|greater than|larger than|too large|too long|fit).{0,60}context[ _-]?(?:length|"
    r"window|size|limit)|context[ _-]?(?:length|window|size|limit).{0,60}(?:exceed|is \d|of \d|too small)|"
    r"(?:prompt|input|request) is too long|(?:maximum|max) (?:prompt|input) (?:length|tokens)|"
    r"range of input length|input (?:token count|length|tokens).{0,40}exceed|exceeded model token limit|"
    r"prompt exceeds max|reduce the length|prompt contains \d+ tokens|inputs? tokens \+ max_new_tokens",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"(?:incorrect|invalid|missing|wrong|expired|no) api[ -]?key|api[ -]?key (?:is )?(?:not valid|not found|expired|"
    r"invalid|missing)|security token included in the request is (?:invalid|expired)|authentication fails",
    re.IGNORECASE,
)
#: Counts only where nothing better is known.
_MOMENT = re.compile(r"rate limit|overloaded|(?:try|retry) again|temporarily|timed? ?out|capacity|busy", re.IGNORECASE)


def topic_of(status: int | None, code: str | None, words: str) -> Topic | None:
    """What it is about, by status, the vendor's code and its words; None where nothing more than that is known."""
    named = (code or "").lower()
    for topic, codes in _CODES.items():
        if named in codes and _fits(topic, status):
            return topic
    if status == 402 or (_MONEY.search(words) and _fits("money", status)):
        return "money"
    # A limit on tokens per minute speaks of lengths as well, and passes.
    if status == 413 or (status != 429 and _LENGTH.search(words)):
        return "length"
    if status == 401 or (_KEY.search(words) and _fits("key", status)):
        return "key"
    if (named.startswith(_PASSING) and _fits("moment", status)) or (status is None and _MOMENT.search(words)):
        return "moment"
    return None


def _fits(topic: Topic, status: int | None) -> bool:
    """Whether the status lets a code or words mean that: a server's own failure may quote anything."""
    if status is None:
        return True
    if topic == "moment":
        return status == 400 or status >= 500 or status in (408, 409, 429)
    return status < 500


def is_daily(quota: str) -> bool:
    """Whether the name of a quota says that it is renewed once a day."""
    return "perday" in quota.lower().replace("_", "").replace(" ", "")
