"""What the leak check looks for: shapes of secrets, names of sensitive places, and words that stand for a removed secret.

Written apart from the redactor's lists, and on purpose in another way, so that what one of them overlooks the other
may see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from respool.cassette.model import PLACEHOLDER


class Shape(NamedTuple):
    """A kind of secret: a text that it must contain, and the expression it matches; `strict`: no need to look random."""

    name: str
    hint: str
    pattern: re.Pattern[str]
    strict: bool = True


def _shapes(table: str) -> list[Shape]:
    found = []
    for line in table.strip().splitlines():
        name, hint, pattern = line.split(None, 2)
        found.append(Shape(name.rstrip("?"), hint, re.compile(pattern), not name.endswith("?")))
    return found


# name, text that is looked for first, expression. A name with "?" counts only if what matched looks random.
SHAPES = _shapes(r"""
  openai-key?           sk-              sk-(?:proj-|svcacct-|admin-|or-v1-)?[\w-]{20,200}
  anthropic-key         sk-ant-          sk-ant-(?:api|admin|oat|sid)\d\d-[\w-]{20,200}
  google-api-key        AIza             AIza[\w-]{35}
  google-oauth-token    ya29.            ya29\.[\w-]{20,2000}
  google-oauth-secret   GOCSPX-          GOCSPX-[\w-]{20,40}
  google-refresh-token  1//              1//0[\w-]{40,200}
  aws-access-key-id     AKIA             AKIA[A-Z2-7]{16}(?![A-Za-z0-9])
  aws-session-key-id    ASIA             ASIA[A-Z2-7]{16}(?![A-Za-z0-9])
  github-token          gh               gh[pousr]_[A-Za-z0-9]{36,255}
  github-token          github_pat_      github_pat_\w{50,255}
  gitlab-token          glpat-           glpat-[\w.-]{20,100}
  slack-token           xox              xox[abeoprs]-[\w-]{20,300}
  slack-app-token       xapp-            xapp-\d-[\w-]{20,300}
  slack-webhook         hooks.slack.com  hooks\.slack\.com/(?:services|workflows)/T\w{7,}/\w{7,}/\w{16,}
  stripe-key            _live_           [srp]k_live_[A-Za-z0-9]{16,255}
  stripe-test-key?      _test_           [sr]k_test_[A-Za-z0-9]{16,255}
  stripe-webhook        whsec_           whsec_[A-Za-z0-9+/=]{24,100}
  npm-token             npm_             npm_[A-Za-z0-9]{36}
  pypi-token            pypi-            pypi-AgE[\w-]{50,500}
  sendgrid-key          SG.              SG\.[\w-]{16,32}\.[\w-]{32,64}
  twilio-key            SK               SK[0-9a-f]{32}(?![A-Za-z0-9])
  telegram-bot-token    :AA              \d{8,10}:AA[\w-]{33}(?![\w-])
  discord-webhook       discord          discord(?:app)?\.com/api/webhooks/\d{15,}/[\w-]{40,}
  huggingface-token     hf_              hf_[A-Za-z0-9]{30,60}
  groq-key              gsk_             gsk_[A-Za-z0-9]{40,80}
  xai-key               xai-             xai-[A-Za-z0-9]{60,100}
  replicate-token       r8_              r8_[A-Za-z0-9]{30,50}
  perplexity-key        pplx-            pplx-[A-Za-z0-9]{40,80}
  nvidia-key            nvapi-           nvapi-[\w-]{50,100}
  tavily-key?           tvly-            tvly-[\w-]{24,80}
  digitalocean-token    dop_v1_          dop_v1_[0-9a-f]{64}
  databricks-token      dapi             dapi[0-9a-f]{32}(?![A-Za-z0-9])
  docker-token          dckr_pat_        dckr_pat_[\w-]{20,60}
  vault-token           hvs.             hvs\.[\w-]{24,200}
  shopify-token         shp              shp(?:at|ca|pa|ss)_[0-9a-f]{32}
  mailgun-key           key-             key-[0-9a-f]{32}(?![A-Za-z0-9])
  linear-key            lin_api_         lin_api_[A-Za-z0-9]{32,60}
  notion-token          ntn_             ntn_[A-Za-z0-9]{32,60}
  figma-token           figd_            figd_[\w-]{30,60}
  age-key               AGE-SECRET-KEY   AGE-SECRET-KEY-1[0-9A-Z]{50,60}
  private-key           PRIVATE          -----BEGIN[ A-Z0-9]{0,30}PRIVATE\ KEY(?:\ BLOCK)?-----(?!\.\.\.|\s*-----END)
  jwt                   eyJ              (eyJ[\w-]{8,}+\.eyJ[\w-]{4,}+\.[\w-]{8,})|eyJ[\w-]*+
  bearer?               earer            [Bb]earer[ +]+([\w.~+/-]{20,2000}=*)
""")

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_CERTAIN = re.compile(
    r"(?:.*_)?(?:"
    r"api_?keys?|x_key|access_?key(?:_?id)?|secret(?:_?access)?(?:_?key)?|client_?secret|app(?:lication)?_?(?:secret|key)"
    r"|private_?key|signing_?key|encryption_?key|shared_?key|account_?key|master_?key|admin_?key|consumer_?(?:key|secret)"
    r"|auth_?key|subscription_?key|license_?key|functions_key|service_key"
    r"|(?:access|refresh|auth|oauth|id|session|security|bearer|csrf|xsrf|bot|user|personal|private|device|identity|login|web)"
    r"_?tokens?|csrfmiddlewaretoken"
    r"|pass_?(?:word|wd|phrase|code)\d*|pwd|credentials?|authorization|jwt|session_?(?:id|key)|(?:php|j)?sess_?id|connection_string"
    r")"
)
_POSSIBLE = re.compile(r"(?:.*_)?(?:token|auth|sig|signature|dsn|pass|bearer|cookie|assertion|session)")
_BARE = frozenset(("token", "auth", "session", "pass"))
_OF_A_REQUEST = frozenset(("key", "code"))
_OF_A_HEADER = re.compile(r"x_.*_key|.*token|.*auth|.*signature")
_PAGING = re.compile(
    r"(?:.*_)?(?:page|next|continuation|sync|cursor|start|end|prev|previous|pad|eos|bos|client|request)_?tokens?"
)


@lru_cache(maxsize=8192)
def sensitivity(name: str, place: str) -> int:
    """2: whatever stands under this name is a secret; 1: one if it looks random; 0: none.

    `place`: of a "header", of the "query" of a request, a "parameter" of a form or of a URL in a text, or a "field".

    >>> sensitivity("apiKey", "field"), sensitivity("token", "field"), sensitivity("max_tokens", "field")
    (2, 1, 0)
    """
    plain = _OTHER.sub("_", _CAMEL.sub("_", name[:80]).lower()).strip("_")
    if _PAGING.fullmatch(plain) or plain.startswith(("access_control_", "www_authenticate", "idempotency", "sec_websocket")):
        return 0
    if _CERTAIN.fullmatch(plain):
        return 2
    if place == "field":
        return int(plain in _BARE)
    if place == "header":
        return int(_OF_A_HEADER.fullmatch(plain) is not None)
    return int(_POSSIBLE.fullmatch(plain) is not None or (place == "query" and plain in _OF_A_REQUEST))


_STAND_INS = frozenset((
    "redacted", "scrubbed", "filtered", "sanitized", "sanitised", "removed", "hidden", "masked", "omitted",
    "censored", "dummy", "anonymized", "fake", "mock", "test", "testing", "example", "sample", "placeholder",
    "secret", "your", "my", "some", "invalid", "wrong", "bad", "none", "null", "undefined", "default", "unused",
    "not", "a", "the", "an", "real", "value", "api", "key", "authorization", "token", "auth", "access", "refresh",
    "id", "bearer", "password", "passwd", "pass", "user", "username", "client", "session", "cookie", "foo", "bar",
    "baz", "abc", "abcd", "xyz", "string", "str", "openai", "anthropic", "google", "aws", "azure", "env", "var",
    "code", "apikey", "testkey", "mytoken", "mykey", "secretkey", "basic", "testuser", "testid", "sk", "ghp",
))  # fmt: skip
_BRACKETED = re.compile(r"<.*>|\[.*\]|\{.*\}|\(.*\)|%.*%|\*.*\*|__.*__|\$\{?\w+\}?", re.DOTALL)
_MARKED = re.compile(
    r"(?i)redacted|scrubbed|filtered|sanitized|placeholder|dummy|fake|example|x{6,}|\*{3,}|\.\.\.|0{12,}|1234567"
)
_WORDS = re.compile(r"[A-Za-z]+|\d+")
_NAMED_CONSTANT = re.compile(r"[A-Z]{2,}(?:_[A-Z]{2,})*_(?:TOKEN|KEY|SECRET|PASSWORD|ID)")  # that nobody filled in
_JWT_REST = re.compile(rf"eyJhbGciOiJub25lIn0\.[\w-]+\.{PLACEHOLDER.pattern}")


def stands_in(value: str) -> bool:
    """Whether a text is what redactors and authors of tests write in a secret's stead.

    >>> [stands_in(text) for text in ("__redacted_x__", "<TOKEN>", "test-api-key", "DUMMY", "", "k9Fz-Lq2xT7vB4nW8mYc3RdP")]
    [True, True, True, True, True, False]
    """
    text = value.strip().strip("\"'")
    if not text or PLACEHOLDER.fullmatch(text) or _JWT_REST.fullmatch(text) or len(set(text)) < 4:
        return True
    if len(text) > 200:
        return bool(_MARKED.search(text))
    if _NAMED_CONSTANT.fullmatch(text):
        return True
    return bool(_BRACKETED.fullmatch(text) or _MARKED.search(text)) or (len(text) < 80 and _of_known_words(text))


def _of_known_words(text: str) -> bool:
    words = _WORDS.findall(text.lower())
    return all(word in _STAND_INS or (word.isdigit() and len(word) < 7) or set(word) == {"x"} for word in words)


_KINDS = re.compile(r"[a-z]+|[A-Z]+|\d+")
_TOKEN = re.compile(r"[A-Za-z0-9_.~+/=:%|!-]+")
_NO_TOKEN = re.compile(
    r"\d{4}-\d\d-\d\d.*|[\d.,:/-]+|https?:.*|[a-z]+(?:[-_./ ][a-z]+)*|[A-Z][a-z]+(?:[A-Z][a-z]+)*\d{0,3}|[A-Z]+(?:_[A-Z]+)*"
)


def random_looking(value: str, least: int = 16) -> bool:
    """Whether a text of at least `least` characters looks drawn by a machine.

    >>> random_looking("3f2504e04f8911d39a0c0305e82c3301"), random_looking("chatgpt-4o-latest-2024-07")
    (True, False)
    """
    text = value.strip()
    if len(text) < least or not _TOKEN.fullmatch(text) or _NO_TOKEN.fullmatch(text):
        return False
    pieces = [piece for piece in re.split(r"[^A-Za-z0-9]+", text) if piece]
    longest = max(pieces, key=len, default="")
    if len(longest) < 8:
        return False
    return sum(len(_KINDS.findall(piece)) - 1 for piece in pieces) >= 0.18 * len(text)


def shaped(text: str) -> Iterator[tuple[str, str]]:
    """(name of the shape, what has it) for every secret whose shape stands in a text."""
    for shape in SHAPES:
        if shape.hint not in text:
            continue
        for found in shape.pattern.finditer(text):
            if shape.pattern.groups and not found.lastindex:
                continue  # a word that only begins like one; it is matched so that it is walked through once
            value = found[found.lastindex or 0]
            before = text[found.start() - 1 : found.start()]
            if before and (before.isalnum() or before in "_-") and not _after_escape(text, found.start()):
                continue
            if not stands_in(value) and (shape.strict or random_looking(value, 20)):
                yield shape.name, value


def _after_escape(text: str, at: int) -> bool:
    """Whether what stands before a place is the end of \\n, \\u0022 or %22, and not a word."""
    return text[max(0, at - 2) : at] in ("\\n", "\\t", "\\r") or bool(
        re.fullmatch(r"(?:.*)(?:%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})", text[max(0, at - 6) : at], re.DOTALL)
    )
