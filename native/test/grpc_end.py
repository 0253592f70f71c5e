"""Both ends of gRPC, as grpc-ends.ts says: a line with a command, a line of JSON with what came of it."""

import json
import sys
import time
from collections import Counter
from concurrent import futures

import grpc

secret = sys.argv[1]
service = "shop.v1.Cart"


def missing(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, f"käse 100% {secret}")


def denied(request, context):
    context.send_initial_metadata((("x-shop", secret),))
    context.abort(grpc.StatusCode.PERMISSION_DENIED, secret)


def put(requests, context):
    return b"".join(requests)


def hang(request, context):
    while context.is_active():
        time.sleep(0.01)
    return b""


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(32))
    methods = {
        "Get": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
        "Missing": grpc.unary_unary_rpc_method_handler(missing),
        "Denied": grpc.unary_unary_rpc_method_handler(denied),
        "Hang": grpc.unary_unary_rpc_method_handler(hang),
        "List": grpc.unary_stream_rpc_method_handler(lambda request, context: iter([request] * 5)),
        "Put": grpc.stream_unary_rpc_method_handler(put),
        "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, context: requests),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    servers.append(server)
    return port


def ask(port, name, deadline):
    """One call, begun: whoever waits for its end calls what is returned and gets the status."""
    path = f"/{service}/{name}"
    options = {"metadata": (("authorization", secret),), "timeout": deadline}
    channel = channels.get(port)
    if channel is None:
        channel = channels[port] = grpc.insecure_channel(f"127.0.0.1:{port}")
    if name in ("List", "Chat"):
        make = channel.unary_stream if name == "List" else channel.stream_stream
        call = make(path)(b"list" if name == "List" else iter([b"chat"] * 5), **options)
        return lambda: (list(call), call.code())[1]
    call = channel.stream_unary(path).future(iter([b"put"] * 5), **options) if name == "Put" else (
        channel.unary_unary(path).future(b"ask", **options))
    if name == "Hang" and deadline is None:
        time.sleep(0.05)
        call.cancel()

    def end():
        try:
            call.result()
        except (grpc.RpcError, grpc.FutureCancelledError):
            pass
        return call.code()

    return end


def call(port, name, count, at_once, deadline_ms):
    counts = Counter()
    deadline = int(deadline_ms) / 1000 if int(deadline_ms) else None
    for done in range(0, int(count), int(at_once)):
        ends = [ask(port, name, deadline) for _ in range(min(int(at_once), int(count) - done))]
        for end in ends:
            counts[f"{service}/{name} {end().value[0]}"] += 1
    return counts


servers, channels = [], {}
for line in sys.stdin:
    command, *words = line.split()
    print(json.dumps(serve() if command == "serve" else call(*words)), flush=True)
