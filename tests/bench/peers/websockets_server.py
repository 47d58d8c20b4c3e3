"""A broadcast server on Python's websockets, with the library's own broadcast."""

import argparse
import asyncio
import ssl

import websockets

CONNECTIONS = set()


async def relay(websocket, _path=None):
    CONNECTIONS.add(websocket)
    try:
        async for message in websocket:
            websockets.broadcast(CONNECTIONS, message)
    except websockets.ConnectionClosed:
        pass
    finally:
        CONNECTIONS.discard(websocket)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    options = parser.parse_args()
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
    compression = "deflate" if options.deflate else None
    server = await websockets.serve(
        relay, "127.0.0.1", 0, ssl=context, compression=compression, backlog=4096, ping_interval=None
    )
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Future()


asyncio.run(main())
