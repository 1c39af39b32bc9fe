"""A bad network: a TCP proxy at another loopback address that delays, falls silent, and cuts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable

HOST, HERE = "127.0.0.2", "127.0.0.1"


class Proxy:
    """Passes what comes to the ports of 127.0.0.2 on to the same ports of 127.0.0.1, and back."""

    def __init__(self, ports: Iterable[int]) -> None:
        self.delay_s = 0.0
        self.tamper: Callable[[bytes], bytes] = lambda data: data
        """What becomes of what comes back from there."""
        self._silent = False
        self._ports, self._writers = list(ports), set[asyncio.StreamWriter]()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(10.0)

    def silence(self, on: bool) -> None:
        """Keep everything that comes, in both directions, as a network does that nobody knows is down."""
        self._loop.call_soon_threadsafe(self._flowing.clear if on else self._flowing.set)

    def cut(self) -> None:
        """End every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10.0)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop, self._over, self._flowing = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._flowing.set()
        servers = [await asyncio.start_server(self._passing(port), HOST, port) for port in self._ports]
        self._ready.set()
        await self._over.wait()
        self._flowing.set()
        for server in servers:
            server.close()
        self._cut()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _passing(self, port: int):  # type: ignore[no-untyped-def]
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there, back = await asyncio.open_connection(HERE, port)
            except OSError:  # nobody is there
                writer.transport.abort()
                return
            self._writers |= {writer, back}
            with contextlib.suppress(OSError, asyncio.CancelledError):
                back_here = self._pump(there, writer, lambda data: self.tamper(data))
                await asyncio.gather(self._pump(reader, back, lambda data: data), back_here)
            self._writers -= {writer, back}
            for end in (writer, back):
                end.transport.abort()

        return accept

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tamper: Callable[[bytes], bytes]
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(due - self._loop.time())
                await self._flowing.wait()
                writer.write(tamper(data))

        writing = asyncio.create_task(write())
        try:
            while data := await reader.read(65_536):
                queue.put_nowait((self._loop.time() + self.delay_s, data))
        finally:
            writing.cancel()
            writer.transport.abort()
