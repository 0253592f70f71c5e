"""Adds up per node what the flow records of a cluster say: consumer.py NATS-URL CLUSTER BATCHES

Needs nats-py, protobuf and zstandard from PyPI, and the module that this makes:
protoc -I proto --python_out=DIRECTORY proto/skybraid/v1/flow.proto (PYTHONPATH=DIRECTORY)
"""
import asyncio, collections, io, json, sys, nats, zstandard
from skybraid.v1.flow_pb2 import FlowBatch

def payload(message, largest=256 * 1024):
    if (message.headers or {}).get("Content-Encoding") != "zstd":
        return message.data
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(message.data)).read(largest + 1)

def column(batch, name):
    values = list(getattr(batch, name)) or [0] * batch.record_count
    number = FlowBatch.DESCRIPTOR.fields_by_name[name].number
    for at, high in zip(batch.wide_at, batch.wide_high):
        if at & 255 == number:
            values[at >> 8] += high << 32
    return values

async def main(url, cluster, batches):
    sums, seen = collections.defaultdict(collections.Counter), set()
    bus = await nats.connect(url)
    async for message in (await bus.subscribe(f"skybraid.v1.{cluster}.flow.>")).messages:
        batch = FlowBatch.FromString(payload(message))
        identity = (batch.node, batch.boot_id, batch.partition, batch.sequence)
        if batch.schema_version == 1 and identity not in seen:
            seen.add(identity)
            scale = [1 << (kind >> 19 & 15) for kind in column(batch, "kind")]
            sums[batch.node]["records"] += batch.record_count
            for name in ("bytes_sent", "bytes_received", "segments_sent", "retransmitted_segments"):
                sums[batch.node][name] += sum(map(int.__mul__, column(batch, name), scale))
        if (batches := batches - 1) == 0:
            break
    print(json.dumps(sums))
    await bus.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
