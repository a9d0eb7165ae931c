"""Be Bob: print what measuring Y finds of each teleported qubit: 0 for |+i>, and any wrong Pauli flips it."""

import asyncio
import sys

import nodes
from nodes.apps.teleport import Correction


async def main(rounds: int) -> None:
    async with nodes.connect("bob") as me:
        for _ in range(rounds):
            half, correction = (await me.pair("alice")).qubit, await me.peer("alice").receive(Correction)
            if correction.x:
                half.x()
            if correction.z:
                half.z()
            print(await half.measure("Y"))


asyncio.run(main(int(sys.argv[1])))
