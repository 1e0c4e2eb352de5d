import asyncio
import sys

import websockets


async def tell(client):
    count = 0
    while True:
        await client.send(f"message {count}")
        count += 1
        await asyncio.sleep(0.02)


async def main():
    async with websockets.serve(tell, None, int(sys.argv[1])):
        await asyncio.Future()


asyncio.run(main())
