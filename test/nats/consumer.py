"""Prints the flow batches of a skybraid bus, one line each: consumer.py URL SUBJECT COUNT

Needs from PyPI nats-py, protobuf and zstandard, and flow_pb2.py:
  protoc --python_out=. -I proto proto/skybraid/v1/flow.proto
"""

import asyncio
import ipaddress
import sys

import nats
import zstandard
from skybraid.v1.flow_pb2 import FlowBatch

PROTOCOLS = {1: "tcp", 2: "udp"}


def address(batch: FlowBatch, row: int, word: int) -> str:
    if batch.kind[row] & 4:
        return str(ipaddress.IPv6Address(batch.v6_addresses[16 * word : 16 * word + 16]))
    return str(ipaddress.IPv4Address(word.to_bytes(4, "little")))


def column(values, row: int) -> int:
    return values[row] if values else 0  # a column of zeros is left out


async def main(url: str, subject: str, count: int) -> None:
    client = await nats.connect(url)
    messages = await client.subscribe(subject)
    await client.flush()
    print("ready", flush=True)
    for _ in range(count):
        message = await messages.next_msg(timeout=60)
        data = message.data
        if message.headers.get("Content-Encoding") == "zstd":
            data = zstandard.ZstdDecompressor().decompress(data, max_output_size=256 * 1024)
        batch = FlowBatch.FromString(data)
        print(f"{message.subject} {batch.node} {batch.boot_id:016x} {batch.sequence}: {batch.record_count} records")
        for row in range(batch.record_count):
            owner = batch.owners[column(batch.owner, row)].process
            local = address(batch, row, column(batch.local_address, row))
            remote = address(batch, row, column(batch.remote_address, row))
            ports = column(batch.ports, row)
            sent = column(batch.bytes_sent, row)
            print(f"  {PROTOCOLS[batch.kind[row] & 3]} {owner} {local}:{ports >> 16} {remote}:{ports & 0xFFFF} {sent}", flush=True)
    await client.close()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
