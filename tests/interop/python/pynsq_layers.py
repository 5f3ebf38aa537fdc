"""Publishes and consumes with pynsq, in one combination of TLS and compression after the other, with AUTH in each.

NSQD_TCP is where nsqd listens, NSQD_CA the PEM file of the authority that has signed its certificate, and
NSQD_SECRET what it is told to let a client in.
"""

import os
import ssl
import sys

import nsq
import tornado.ioloop

COUNT = 500
PATIENCE_SECONDS = 20
TLS = {
    "tls_v1": True,
    "tls_options": {"ca_certs": os.environ["NSQD_CA"], "cert_reqs": ssl.CERT_REQUIRED},
}
DEFLATE = {"deflate": True, "deflate_level": 6}
SNAPPY = {"snappy": True}
LAYERS = {
    "tls": TLS,
    "deflate": DEFLATE,
    "snappy": SNAPPY,
    "tls and deflate": TLS | DEFLATE,
    "tls and snappy": TLS | SNAPPY,
}


def exchange(topic, layers):
    """Publishes messages of 1 to some thousand bytes, and tells whether all came back."""
    address = os.environ["NSQD_TCP"]
    loop = tornado.ioloop.IOLoop.current()
    missing = {b"%d " % number + b"x" * (7 * number) for number in range(COUNT)}

    def received(message):
        missing.discard(message.body)
        if not missing:
            loop.stop()
        return True

    def publish():
        if writer.conns:
            writer.mpub(topic, list(missing))
        else:
            loop.call_later(0.05, publish)

    reader = nsq.Reader(
        topic=topic,
        channel="layers",
        message_handler=received,
        nsqd_tcp_addresses=[address],
        max_in_flight=50,
        auth_secret=os.environ["NSQD_SECRET"],
        **layers,
    )
    writer = nsq.Writer([address], auth_secret=os.environ["NSQD_SECRET"], **layers)
    loop.call_later(0.05, publish)
    timeout = loop.call_later(PATIENCE_SECONDS, loop.stop)
    loop.start()
    loop.remove_timeout(timeout)
    reader.close()
    return not missing


def main():
    for number, (name, layers) in enumerate(LAYERS.items()):
        if not exchange(f"layers_{number}", layers):
            sys.exit(f"{name}: not all messages came back")
        print(f"{name}: {COUNT} messages")


main()
