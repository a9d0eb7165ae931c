"""The benchmarks of light and hashing run, and both ends agree in them. What they measure is not gated."""

from __future__ import annotations

from tests.benchmarks import bench_hashing, bench_photons


async def test_sifting_is_measured() -> None:
    cost = await bench_photons.sifting(0.05)
    assert cost.clicks > 100_000
    assert cost.steps["both ends"] > 0


async def test_both_ends_hash_alike() -> None:
    await bench_hashing.dialogue(10_000, 4000)
