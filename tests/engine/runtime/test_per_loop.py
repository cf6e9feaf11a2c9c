"""Objects of which there is one for each event loop."""

from __future__ import annotations

import asyncio

from collab.engine.runtime.per_loop import PerLoop


def test_each_event_loop_has_its_own_for_as_long_as_it_runs() -> None:
    things = PerLoop(list[int])

    async def twice() -> tuple[list[int], list[int]]:
        return things.current(), things.current()

    with asyncio.Runner() as one, asyncio.Runner() as other:
        first, again = one.run(twice())
        second, _ = other.run(twice())
        assert first is again
        assert first is not second
        assert [id(thing) for thing in things.all()] == [id(first), id(second)]
        one.close()
        assert [id(thing) for thing in things.all()] == [id(second)]


def test_a_forgotten_object_is_made_anew() -> None:
    things = PerLoop(list[int])

    async def forget() -> tuple[list[int], list[int]]:
        first = things.current()
        things.forget(asyncio.get_running_loop())
        return first, things.current()

    first, second = asyncio.run(forget())
    assert first is not second
