"""For every line of input one short TCP connection; prints when it was closed, unix milliseconds."""
import socket
import sys
import time

for _ in sys.stdin:
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    connection.sendall(b"x")
    connection.recv(1)
    connection.close()
    print(f"{time.time() * 1000:.3f}", flush=True)
