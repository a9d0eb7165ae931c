"""Be Alice: teleport the state |+i>, as often as the command says, to the program that is Bob."""

import asyncio
import sys

import nodes
from nodes.apps.teleport import Correction


async def main(rounds: int) -> None:
    async with nodes.connect("alice") as me:
        for _ in range(rounds):
            psi = await me.qubit()
            psi.h()
            psi.s()
            half = (await me.pair("bob")).qubit
            psi.cnot(half)
            psi.h()
            await me.peer("bob").send(Correction(x=await half.measure(), z=await psi.measure()))


asyncio.run(main(int(sys.argv[1])))
