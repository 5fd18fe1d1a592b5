"""An echo server on asyncio: `echo.py PORT`. A connection ends when its peer has half-closed."""

import asyncio
import socket
import sys


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back all that comes."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def main() -> None:
    """Serve for ever."""
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((socket.VMADDR_CID_ANY, int(sys.argv[1])))
    server = await asyncio.start_server(echo, sock=listener, backlog=128)
    async with server:
        print("listening", flush=True)
        await server.serve_forever()


asyncio.run(main())
