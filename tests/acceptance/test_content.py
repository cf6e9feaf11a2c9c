"""Programs that write into a document from processes of their own, while people have it open."""

from __future__ import annotations

import asyncio

from tests.harness.fixtures import StartServer

START = """
    from collab import documents
    documents.replace("room", text="one two three four", schema="plain")
"""
#: Appends letters to a word, one by one, as an assistant writes an answer.
WRITE = """
    from collab import documents
    for number in range(10):
        word = "{word}" + "x" * number
        documents.edit_text("room", word + " ", word + "x ", schema="plain")
"""
#: Reads, waits until another process has written, and gives back what it made.
GIVE_BACK = """
    import subprocess, sys
    from collab import documents
    from collab.exceptions import Conflict

    def write(old, new):
        code = (
            "import django; django.setup(set_prefix=False)\\n"
            "from collab import documents\\n"
            f"documents.edit_text('room', {old!r}, {new!r}, schema='plain')"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    read = documents.content("room", schema="plain")
    write("four", "4")
    mine = read.text.replace("one", "1")
    try:
        documents.replace("room", text=mine, base=read.token, on_conflict="raise", schema="plain")
    except Conflict as conflict:
        print([conflict.wanted, conflict.current])
    documents.replace("room", text=mine, base=read.token, schema="plain")
    print(documents.text("room", schema="plain"))
"""


async def test_two_programs_write_into_a_document_that_is_open(start_server: StartServer) -> None:
    server = start_server()
    await asyncio.to_thread(server.run_code, START)
    client = server.client("room")
    await client.connect()
    await client.wait_until(lambda: client.text == "one two three four")
    await asyncio.gather(
        *(asyncio.to_thread(server.run_code, WRITE.format(word=word)) for word in ("one", "three"))
    )
    expected = f"one{'x' * 10} two three{'x' * 10} four"
    await client.wait_until(lambda: client.text == expected)
    await client.disconnect()


async def test_a_program_learns_that_another_has_written_since_it_read(
    start_server: StartServer,
) -> None:
    server = start_server()
    await asyncio.to_thread(server.run_code, START)
    client = server.client("room")
    await client.connect()
    printed = await asyncio.to_thread(server.run_code, GIVE_BACK)
    assert printed.splitlines() == [
        str(["1 two three four", "one two three 4"]),
        "1 two three 4",
    ]
    await client.wait_until(lambda: client.text == "1 two three 4")
    await client.disconnect()
