"""A server that says who it is and whom it talks to; run inside a pod by lab.services.

Usage: answer_server.py NAME PORT [tcp|udp]... Answers "NAME CLIENT PORT" to an HTTP GET
(a fresh connection each), to a line of a kept TCP connection, and to each datagram."""

import asyncio
import socket
import sys

NAME, PORT, PROTOCOLS = sys.argv[1], int(sys.argv[2]), sys.argv[3:] or ["tcp"]


def answer(peer):
    address = peer[0].removeprefix("::ffff:")
    return f"{NAME} {address} {peer[1]}"


async def serve_http(reader, writer, first):
    line = first
    while line.strip():
        line = await reader.readline()
    body = answer(writer.get_extra_info("peername"))
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write((head + body).encode())
    await writer.drain()


async def serve(reader, writer):
    try:
        line = await reader.readline()
        if line.startswith(b"GET "):
            await serve_http(reader, writer, line)
        else:
            while line:
                writer.write((answer(writer.get_extra_info("peername")) + "\n").encode())
                await writer.drain()
                line = await reader.readline()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(answer(addr).encode(), addr)


def dual_stack(kind):
    server = socket.socket(socket.AF_INET6, kind)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("::", PORT))
    return server


async def main():
    loop = asyncio.get_running_loop()
    if "tcp" in PROTOCOLS:
        listener = dual_stack(socket.SOCK_STREAM)
        await asyncio.start_server(serve, sock=listener)
    if "udp" in PROTOCOLS:
        await loop.create_datagram_endpoint(Datagrams, sock=dual_stack(socket.SOCK_DGRAM))
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
