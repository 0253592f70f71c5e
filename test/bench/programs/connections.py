"""Many TCP connections for the size bench.

connections.py server PORT              accepts, echoes what comes, closes when the other end does
connections.py hold HOST PORT COUNT     opens COUNT connections, prints "holding", keeps them until its input ends
connections.py churn HOST PORT RATE SECONDS   opens and closes RATE connections a second, prints how many
"""
import resource
import selectors
import socket
import sys
import time

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
kind, *rest = sys.argv[1:]


def serve(port):
    selector = selectors.EpollSelector()
    listener = socket.create_server(("", port), backlog=4096)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                try:
                    while True:
                        connection, _ = listener.accept()
                        connection.setblocking(False)
                        selector.register(connection, selectors.EVENT_READ)
                except BlockingIOError:
                    continue
            try:
                data = key.fileobj.recv(4096) if key.fileobj is not listener else None
            except ConnectionError:
                data = b""
            if data == b"":
                selector.unregister(key.fileobj)
                key.fileobj.close()
            elif data:
                key.fileobj.send(data)


def churn(host, port, rate, seconds):
    begun = time.monotonic()
    done = 0
    while done < rate * seconds:
        due = min(rate * seconds, int((time.monotonic() - begun) * rate))
        for _ in range(due - done):
            with socket.create_connection((host, port)) as connection:
                connection.sendall(b"x" * 100)
                connection.recv(100)
            done += 1
        time.sleep(0.002)
    print(f"done {done} in {time.monotonic() - begun:.2f}", flush=True)


if kind == "server":
    serve(int(rest[0]))
elif kind == "hold":
    kept = [socket.create_connection((rest[0], int(rest[1]))) for _ in range(int(rest[2]))]
    print("holding", flush=True)
    for line in sys.stdin:
        for connection in kept:
            connection.sendall(b"y")
            connection.recv(1)
        print("told", flush=True)
elif kind == "churn":
    churn(rest[0], int(rest[1]), int(rest[2]), int(rest[3]))
