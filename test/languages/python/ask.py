"""Asks OpenFeature's providers, as their packages come, what each line of standard input wants to know.

A line is JSON, and so is the line that answers it:
  {"open": NAME, "provider": "flagd" or "ofrep", "options": {...}}  makes a client; its status when its provider is ready
  {"ask": NAME, "questions": [{"key", "type", "default", "context"}, ...]}  an answer each, and the events since the last time
What fails is answered by {"failed": "..."}.
"""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent

clients = {}
events = {}


def to_provider(kind, options):
    if kind == "ofrep":
        headers = options.pop("headers", {})
        return OFREPProvider(**options, headers_factory=lambda: headers)
    if "resolver_type" in options:
        options["resolver_type"] = ResolverType(options["resolver_type"])
    return FlagdProvider(**options)


def open_client(name, kind, options):
    api.set_provider_and_wait(to_provider(kind, options), name)
    client = clients[name] = api.get_client(name)
    heard = events[name] = []
    for event in ProviderEvent:
        client.add_handler(
            event, lambda details, event=event: heard.append({"event": event.name, "keys": details.flags_changed or []})
        )
    return {"status": client.get_provider_status().name}


def answer(client, key, type, default, context):
    attributes = dict(context)
    targeting_key = attributes.pop("targetingKey", None)
    ask = getattr(client, f"get_{type}_details")
    details = ask(key, default, EvaluationContext(targeting_key, attributes))
    return {
        "value": details.value,
        "variant": details.variant,
        "reason": details.reason,
        "metadata": details.flag_metadata,
        "error": details.error_code,
        "message": details.error_message,
    }


def ask(name, questions):
    answers = [answer(clients[name], **question) for question in questions]
    heard, events[name][:] = list(events[name]), []
    return {"answers": answers, "events": heard}


def obey(order):
    try:
        if "open" in order:
            return open_client(order["open"], order["provider"], order["options"])
        return ask(order["ask"], order["questions"])
    except Exception as error:
        return {"failed": repr(error)}


for line in sys.stdin:
    print(json.dumps(obey(json.loads(line))), flush=True)
api.shutdown()
