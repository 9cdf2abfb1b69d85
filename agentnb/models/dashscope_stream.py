"""A DashScope answer as our events: pieces, or the whole text so far again and again; streamed, or one document."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from typing import Any

from agentnb import events, messages
from agentnb.errors import ModelError, RequestRefused, StreamBroken
from agentnb.events import ModelEvent
from agentnb.messages import JSON, Audio, Block, File, Image, Message
from agentnb.models.dashscope_growth import Growth, Pieces
from agentnb.models.dialect import Quirks
from agentnb.models.openai_calls import ArrivingCall, ArrivingCalls
from agentnb.models.openai_chunks import json_or_text, loads_all
from agentnb.models.refusal import Source, refused_in_stream, words_of
from agentnb.models.sse import Decoder, ServerEvent
