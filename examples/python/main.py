"""Asks a Flagwire server for flags, then follows what changes, by stubs that are generated from proto/flagwire/v1.

In the checkout: npm run example:python
"""

import os
import signal
import time

import grpc
from google.protobuf.json_format import MessageToDict

from flagwire.v1.evaluation_service_pb2 import BulkEvaluateRequest, Context, EvaluateRequest, WatchRequest
from flagwire.v1.evaluation_service_pb2_grpc import EvaluationServiceStub

TIMEOUT_S = 2
TOKEN = os.environ.get("FLAGWIRE_TOKEN")
METADATA = [("authorization", f"Bearer {TOKEN}")] if TOKEN else []


def main() -> None:
    address = os.environ.get("FLAGWIRE_ADDRESS", "127.0.0.1:8013")
    user = Context(targeting_key="user-7")
    user.attributes.update({"email": "ann@shop.test", "plan": "pro"})
    # Pings find a connection that broke without a word.
    with grpc.insecure_channel(address, options=[("grpc.keepalive_time_ms", 30_000)]) as channel:
        flags = EvaluationServiceStub(channel)
        print("search:", value(flags, "search", user, default={}))
        print("a flag that does not exist:", value(flags, "no-such-flag", user, default=False))
        print_all(flags, user)
        follow(flags)


def value(flags: EvaluationServiceStub, key: str, context: Context, default):
    """A flag's value, or the default where there is none, or no server: a flag is never a reason to fail."""
    try:
        answer = flags.Evaluate(EvaluateRequest(flag_key=key, context=context), timeout=TIMEOUT_S, metadata=METADATA)
    except grpc.RpcError as error:
        print(f"{key}: {error.code().name}: {error.details()}")
        return default
    return MessageToDict(answer.value) if answer.HasField("value") else default


def print_all(flags: EvaluationServiceStub, context: Context) -> None:
    answers = flags.BulkEvaluate(BulkEvaluateRequest(context=context), timeout=TIMEOUT_S, metadata=METADATA)
    print(f"all flags, at revision {answers.revision}:")
    for answer in answers.evaluations:
        print(f"  {answer.flag_key} is {answer.variant}, because {answer.reason}")


def follow(flags: EvaluationServiceStub) -> None:
    """Prints what changes. After a goodbye, or a server that is gone, it goes on where it was."""
    request = WatchRequest(client_name="python example")
    while True:
        try:
            for names, position in updates(flags.Watch(request, metadata=METADATA)):
                resumed = request.HasField("position")
                request.position.CopyFrom(position)
                if names:
                    print("changed:" if resumed else "watching:", ", ".join(names), f"(revision {position.revision})")
        except grpc.RpcError as error:
            print(f"the stream ended: {error.code().name}: {error.details()}")
        time.sleep(1)


def updates(stream):
    """Updates as (names, position). One may come over several messages, up to its commit; until then it is not one."""
    names = []
    for message in stream:
        for item in message.items:
            names.append(item_name(item))
        if message.HasField("commit"):
            yield [name for name in names if name], message.commit.position
            names = []
        if message.HasField("heartbeat"):
            yield [], message.heartbeat.position


def item_name(item) -> str:
    """A flag's key, or "segment" and a segment's."""
    kind = item.WhichOneof("kind")
    if kind == "flag":
        return item.flag.flag.key
    if kind == "segment":
        return f"segment {item.segment.key}"
    if kind == "deleted_flag_key":
        return item.deleted_flag_key
    if kind == "deleted_segment_key":
        return f"segment {item.deleted_segment_key}"
    return ""  # More keys of a segment that has been named, or something that a newer server knows.


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        pass
    except grpc.RpcError as error:
        raise SystemExit(f"{error.code().name}: {error.details()}")
