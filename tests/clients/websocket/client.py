import asyncio
import sys

import websockets


async def main():
    async with websockets.connect(sys.argv[1]) as server:
        while True:
            print(await server.recv(), flush=True)


try:
    asyncio.run(main())
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
