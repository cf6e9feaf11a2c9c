"""Reports of users of other servers, none of which happens here.

Each test names the report; ``docs`` and other tests hold the promises in general.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial

import psycopg

from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.proxy import Proxy
from tests.harness.server import Server
from tests.harness.services import Redis
from tests.harness.waiting import until

from .test_documents_api import visit
from .test_door import metrics
from .typists import read

FORGET_ALL = "import os, redis; redis.from_url(os.environ['COLLAB_TEST_REDIS']).flushall()"


@asynccontextmanager
async def over_a_line(server: Server, room: str) -> AsyncIterator[tuple[YjsClient, Proxy]]:
    """Yield a client whose network a test may hold or cut, and the network."""
    line = Proxy(server.port)
    await line.start()
    url = server.url(room).replace(f":{server.port}/", f":{line.port}/")
    client = YjsClient(url)
    await come(client)
    try:
        yield client, line
    finally:
        await line.close()
        # With the network, the client's connection ends.
        await client.wait_closed()


async def come(client: YjsClient) -> None:
    await client.connect()
    await client.hello()
    await client.wait_until(lambda: client.synced)


async def shows(server: Server, gauge: str, value: float) -> bool:
    """Return whether this is the value of one of the server's gauges."""
    return (await metrics(server))[f"collab_{gauge}",] == value


async def share(words: list[str], *clients: YjsClient) -> None:
    """Wait until the clients have one text, which has each of the words once."""
    await wait_until(
        lambda: (
            len({client.text for client in clients}) == 1
            and all(clients[0].text.count(word) == 1 for word in words)
        ),
        *clients,
    )


async def test_text_typed_into_a_silent_network_is_unsaved_and_arrives_later(
    server: Server,
) -> None:
    """hedgedoc#6803, hedgedoc#6608, outline#13726: typed for minutes, all of it lost."""
    async with server.client("room") as other, over_a_line(server, "room") as (client, line):
        await client.insert("before ")
        await client.wait_saved()
        line.there.clear()
        words = [f"word{number} " for number in range(50)]
        for word in words:
            await client.insert(word)
        # The page sees what is not stored, although the connection looks healthy.
        assert client.connected and client.sent - client.saved >= len(words)
        await other.insert("others' ")
        assert not any(word in other.text for word in words)
        # The client gives the connection up.
        line.cut()
        await client.wait_closed()
        line.there.set()
        await come(client)
        await client.wait_saved()
        await wait_until(lambda: client.text == other.text, client, other)
        assert all(other.text.count(word) == 1 for word in words)
        assert other.text.count("others' ") == 1


async def test_a_document_is_not_doubled_by_clients_that_come_back_to_a_room_made_anew(
    start_server: StartServer,
) -> None:
    """jupyter-collaboration#621, hocuspocus#344: content twice after a reconnect."""
    server = start_server(collab={"UNLOAD_DELAY": 0})
    client = server.client("room", "seeded")
    await come(client)
    await client.insert(" and mine")
    await client.wait_saved()
    for number in range(5):
        await client.abort()
        # Typed while the network is away, and the room is made anew.
        await client.insert(f" {number}")
        if number % 2:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        assert (await read(server, "room", "seeded")).count("seed") == 1
        await come(client)
        await client.wait_saved()
    expected = "seed and mine 0 1 2 3 4"
    assert client.text == expected
    await client.disconnect()
    assert await read(server, "room", "seeded") == expected


async def test_a_stale_client_takes_nothing_back_after_redis_has_forgotten_all(
    redis_server: Redis, start_server: StartServer
) -> None:
    """posthog#59677: an old tab overwrites newer work once Redis was emptied."""
    quick = {"RELAY": {"digest": 2, "timeout": 1}, "RELAY_STORAGE_INTERVAL": 2}
    one, two = (start_server(collab=quick, redis=redis_server.url) for _ in range(2))
    async with over_a_line(one, "room") as (stale, line), two.client("room") as other:
        await stale.insert("first ")
        await other.wait_until(lambda: other.text == "first ")
        line.cut()
        await stale.wait_closed()
        await stale.insert("stale ")
        await asyncio.to_thread(one.run_code, FORGET_ALL)
        await other.insert("newer ")
        await come(stale)
        await wait_until(lambda: stale.text == other.text, stale, other)
        await stale.insert("last ")
        await wait_until(lambda: "last " in other.text, stale, other)
        for word in ("first ", "stale ", "newer ", "last "):
            assert other.text.count(word) == 1


async def test_a_client_that_lost_its_access_while_offline_harms_no_other(
    server: Server,
) -> None:
    """hedgedoc#3894: one refused client, and nobody's text is saved any more."""
    code = "from django.contrib.auth.models import User\n"
    await asyncio.to_thread(
        server.run_code, code + "User.objects.create(pk=7, username='ann', last_name='write')"
    )
    other = server.client("room", "guarded", access="write")
    client = YjsClient(server.url("room", "account", user="7"), subprotocols=["collab"])
    for each in (other, client):
        await come(each)
    await client.insert("allowed ")
    await other.wait_until(lambda: other.text == "allowed ")
    await client.abort()
    await client.insert("not allowed ")
    await asyncio.to_thread(server.run_code, code + "User.objects.update(last_name='none')")
    await client.connect()
    assert await client.wait_closed() == 4403
    await other.insert("others'")
    await other.wait_saved()
    await other.disconnect()
    assert await read(server, "room") == "allowed others'"


async def test_a_server_that_lost_its_database_gets_the_document_from_the_client(
    start_server: StartServer,
) -> None:
    """nextcloud/text#3921: after a reset of the server, a client's text vanishes or is doubled."""
    server = start_server(collab={"UNLOAD_DELAY": 0})
    client = server.client("room", "seeded")
    await come(client)
    await client.insert(" and mine")
    await client.wait_saved()
    await client.abort()
    await asyncio.to_thread(server.terminate)
    # An older backup is restored, in which there is no such document.
    await asyncio.to_thread(
        server.run_code,
        "from collab_storage.models import Document\nDocument.objects.all().delete()",
    )
    await asyncio.to_thread(server.start)
    client.url = server.url("room")
    await come(client)
    await client.wait_saved()
    assert await read(server, "room") == client.text == "seed and mine"
    await client.disconnect()


async def test_text_typed_while_saving_hangs_is_there_for_those_who_come_next(
    postgres_database: str, start_server: StartServer
) -> None:
    """hocuspocus#995, hocuspocus#954: unloaded while it was being saved, or never unloaded."""
    server = start_server(postgres_database, collab={"UNLOAD_DELAY": 0})
    server.allow_errors("document is locked")
    client = server.client("room")
    await come(client)
    await client.insert("before ")
    await client.wait_saved()
    with closing(psycopg.connect(postgres_database)) as admin:
        admin.execute("SELECT * FROM collab_storage_document WHERE name = 'room' FOR UPDATE")
        for word in ("first ", "second "):
            await client.insert(word)
            # The server has received it.
            await client.hello()
        assert client.saved < client.sent
        await client.disconnect()
        await until(partial(shows, server, "members", 0))
        for number in range(3):
            async with server.client("room") as other:
                assert other.text == "before first second " + "012"[:number]
                await other.insert(str(number))
                await other.hello()
        admin.rollback()
    await until(partial(shows, server, "rooms", 0))
    assert await read(server, "room") == "before first second 012"


async def test_all_who_come_after_an_edit_of_server_code_have_the_same_document(
    start_server: StartServer,
) -> None:
    """hocuspocus#832: those who came soon after it were in a room of their own."""
    views = {"DJANGO_SETTINGS_MODULE": "tests.acceptance.document_views_settings"}
    server = start_server(environment=views, collab={"UNLOAD_DELAY": 0})
    words: list[str] = []
    for number in range(6):
        edit, soon, during, late = (f"<{number} {what}>" for what in ("view", "1", "view 2", "2"))
        client = server.client("room")
        # It comes when the edit is done, or in the middle.
        if number % 2:
            await visit(server, "write", "room", edit)
            await come(client)
        else:
            await asyncio.gather(visit(server, "write_in_thread", "room", edit), come(client))
        await client.insert(soon)
        await visit(server, "write_async", "room", during)
        async with server.client("room") as other:
            await other.insert(late)
            words += [edit, soon, during, late]
            await share(words, client, other)
        await client.disconnect()
    text = await read(server, "room")
    assert len(text) == sum(map(len, words))


async def test_a_document_that_was_closed_is_relayed_again_and_others_go_on(
    redis_server: Redis, start_server: StartServer
) -> None:
    """hocuspocus#131, hocuspocus#219, hocuspocus#971: closed once, not relayed any more."""
    one, two = (start_server(collab={"UNLOAD_DELAY": 0}, redis=redis_server.url) for _ in range(2))
    async with one.client("kept") as here, two.client("kept") as there:
        words: list[str] = []
        for number in range(6):
            ann, bob = one.client("room"), two.client("room")
            await asyncio.gather(come(ann), come(bob))
            words += [f"<Ann {number}>", f"<Bob {number}>"]
            await ann.insert(words[-2])
            await bob.insert(words[-1])
            await share(words, ann, bob)
            # Who comes next may meet a room that is being closed.
            await asyncio.gather(ann.disconnect(), bob.abort())
            await here.insert(words[-2])
            await there.insert(words[-1])
            await share(words, here, there)
    async with one.client("room") as reader:
        await share(words, reader)
        assert len(reader.text) == sum(map(len, words))


async def test_two_windows_of_one_user_stay_in_step(server: Server) -> None:
    """initiative#1534: two windows of a user did not hear each other, one set the other back."""
    first, second = (server.client("room", user="7") for _ in range(2))
    async with server.client("room", user="8") as other:
        for window in (first, second):
            await come(window)
            await window.set_presence({"name": "Ann"})
        await first.insert("<first>")
        await second.insert("<second>")
        await share(["<first>", "<second>"], first, second, other)
        await first.abort()
        await first.insert("<first, alone>")
        await second.insert("<second, alone>")
        # She is still there, in the other window.
        await other.wait_until(lambda: set(other.presence) == {second.doc.client_id})
        await come(first)
        words = ["<first>", "<second>", "<first, alone>", "<second, alone>"]
        await share(words, first, second, other)
        await second.disconnect()
        await other.insert("<last>")
        await share([*words, "<last>"], first, other)
        await first.disconnect()


async def test_a_restored_version_stays_when_tabs_with_the_later_one_come_back(
    redis_server: Redis, start_server: StartServer
) -> None:
    """open-mercato#4561: all tabs reconnected, and the restoration was undone."""
    server = start_server(collab={"UNLOAD_DELAY": 0}, redis=redis_server.url)
    imports = "from collab import history\n"
    here, away = server.client("room"), server.client("room")
    for client in (here, away):
        await come(client)
    await here.insert("first draft. ")
    await here.wait_saved()
    version = await asyncio.to_thread(
        server.run_code, imports + "print(history.create('room', 'First').id)"
    )
    await here.insert("second thoughts. ")
    await share(["second thoughts. "], here, away)
    await here.wait_saved()
    await away.abort()
    await away.insert("typed away. ")
    await asyncio.to_thread(server.run_code, imports + f"history.restore('room', {int(version)})")
    await here.wait_until(lambda: here.text == "first draft. ")
    # The tabs, and the room made anew, have what was there before.
    await here.abort()
    for client in (away, here):
        await come(client)
        await client.wait_saved()
    await share(["first draft. ", "typed away. "], here, away)
    assert here.text == "first draft. typed away. "
    for client in (away, here):
        await client.disconnect()
    assert await read(server, "room") == "first draft. typed away. "
