# SPDX-License-Identifier: ISC
"""Puts into redis, under every feature's address, the very bytes saedbd answers
feature.get with; prints the addresses.    fill_redis.py SAEDBD-SOCKET REDIS-SOCKET SAE"""

import pathlib
import socket
import sys

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/reference"))
from rpc import Rpc  # noqa: E402


def main():
    """Copies every alive feature."""
    rpc = Rpc(sys.argv[1])
    redis = socket.socket(socket.AF_UNIX)
    redis.connect(sys.argv[2])
    replies = redis.makefile("rb")
    rows = rpc.pages("feature.list", "features", sae=sys.argv[3], limit=1000)
    keys = [row["feature"] for row in rows]
    results = rpc.many("feature.get", [{"feature": key} for key in keys])
    for key, result in zip(keys, results):
        value = msgpack.packb([1, 1, None, result], use_single_float=True)
        key = key.encode()
        redis.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
                      % (len(key), key, len(value), value))
        assert replies.readline() == b"+OK\r\n"
        print(key.decode())


if __name__ == "__main__":
    main()
