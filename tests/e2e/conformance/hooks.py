"""Lets schemathesis call as Cloudflare would bring its requests: each from an address of its own, so that no request
is refused for what another did. What happens to one address that asks too often has tests of its own."""

from itertools import count

import schemathesis

calls = count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    call = next(calls)
    # From 198.18.0.0/15, which is set aside for tests (RFC 2544); apart from the addresses of the rig.
    case.headers["CF-Connecting-IP"] = f"198.19.{call >> 8 & 255}.{call & 255}"
