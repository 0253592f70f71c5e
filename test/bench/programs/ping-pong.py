"""Established TCP connection on which one byte goes back and forth; or UDP datagrams one way.

ping-pong.py tcp-server PORT | tcp-client HOST PORT COUNT | udp-server PORT | udp-client HOST PORT COUNT
The clients print what they did when it is done; the servers run until they are ended.
"""
import socket
import sys

kind, *rest = sys.argv[1:]
if kind == "tcp-server":
    listener = socket.create_server(("", int(rest[0])))
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(16):
            connection.sendall(data)
        connection.close()
elif kind == "tcp-client":
    connection = socket.create_connection((rest[0], int(rest[1])))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b"x")
    connection.recv(16)
    print("connected", flush=True)
    sys.stdin.readline()
    count = int(rest[2])
    for _ in range(count):
        connection.sendall(b"x")
        connection.recv(16)
    print("done", flush=True)
    sys.stdin.readline()
elif kind == "udp-server":
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    server.bind(("", int(rest[0])))
    print("ready", flush=True)
    while True:
        data, peer = server.recvfrom(64)
        server.sendto(data, peer)
elif kind == "udp-client":
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((rest[0], int(rest[1])))
    client.settimeout(5)
    print("connected", flush=True)
    sys.stdin.readline()
    count = int(rest[2])
    for _ in range(count):
        client.send(b"x" * 32)
        client.recv(64)
    print("done", flush=True)
    sys.stdin.readline()
