"""The contract of storages that keep versions::

class TestMyStorage(StorageContract, HistoryContract):
    ...
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from collab_storage.authorship import AuthorRange, Authorship, DeletionCount
from collab_storage.base import LogEntry
from collab_storage.exceptions import BaseNotFound, DocumentExists, DocumentNotFound, InvalidName
from collab_storage.versions import (
    HistoryStorage,
    LoadedVersion,
    VersionChoice,
    VersionDraft,
    VersionKind,
    VersionState,
)

from .material import NO_NAMES, START, appended, entry, parallel, rows

__all__ = ["HistoryContract"]


def state(digest: bytes, base: bytes | None = None, edits: int = 10) -> VersionState:
    """Return a state whose data follow from its digest."""
    return VersionState(digest, b"data of " + digest, edits - 1, 1, base)


def draft(
    digest: bytes = b"a",
    kind: VersionKind = VersionKind.AUTO,
    title: str = "",
    *,
    minutes: int = 0,
    edits: int = 10,
    base: bytes | None = None,
) -> VersionDraft:
    """Return a version to add, of a time after :data:`START`."""
    at = START + timedelta(minutes=minutes)
    return VersionDraft(at, state(digest, base, edits), kind, title, "7", ["7", "8"])


async def loaded(storage: HistoryStorage, id: int, name: str = "doc") -> LoadedVersion:
    found = await storage.load_version(name, id)
    assert found is not None, "the version is not stored"
    return found


async def digests(storage: HistoryStorage, name: str = "doc") -> list[bytes]:
    return [version.digest for version in await storage.versions(name)]


@pytest.mark.asyncio
class HistoryContract:
    async def test_a_version_keeps_what_it_was_given(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")
        added = await storage.add_version("doc", draft(kind=VersionKind.RESTORE, title="T"))
        assert added == (await storage.versions("doc"))[0]
        assert (added.at, added.title, added.kind) == (START, "T", VersionKind.RESTORE)
        assert (added.by, added.made_by, added.edits) == (("7", "8"), "7", 10)
        assert (added.digest, added.size) == (b"a", len(b"data of a"))
        assert await loaded(storage, added.id) == LoadedVersion(added, [state(b"a")])

    async def test_a_version_needs_a_document(self, storage: HistoryStorage) -> None:
        with pytest.raises(DocumentNotFound):
            await storage.add_version("doc", draft(), [entry()])
        assert not await storage.exists("doc")
        assert await storage.versions("doc") == []
        assert await storage.load_version("doc", 1) is None
        assert not await storage.title_version("doc", 1, "title")
        assert await storage.delete_versions("doc", [1]) == 0

    @pytest.mark.parametrize("name", NO_NAMES)
    async def test_versions_of_names_that_are_not_valid(
        self, storage: HistoryStorage, name: str
    ) -> None:
        with pytest.raises(InvalidName):
            await storage.add_version(name, draft())
        with pytest.raises(InvalidName):
            await storage.versions(name)
        with pytest.raises(InvalidName):
            await storage.load_version(name, 1)
        with pytest.raises(InvalidName):
            await storage.title_version(name, 1, "")
        with pytest.raises(InvalidName):
            await storage.delete_versions(name, [1])

    async def test_entries_come_with_the_version_or_neither(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")
        await storage.add_version("doc", draft(), [entry(data=b"two"), entry("other", b"three")])
        assert rows(await storage.load("doc")) == [b"one", b"two"]
        assert rows(await storage.load("other")) == [b"three"]
        with pytest.raises(InvalidName):
            await storage.add_version("doc", draft(b"b"), [entry(""), entry()])
        assert await digests(storage) == [b"a"]

    async def test_an_entry_to_a_deleted_document_adds_no_version_to_another_of_its_name(
        self, storage: HistoryStorage
    ) -> None:
        id = (await appended(storage, b"one")).id
        if id is None:  # pragma: no cover  # Those of this project have ids; others' need not.
            pytest.skip("The documents of this storage have no ids.")
        await storage.delete("doc")
        await appended(storage, b"another")
        with pytest.raises(DocumentNotFound):
            await storage.add_version("doc", draft(), [entry()._replace(document_id=id)])
        assert rows(await storage.load("doc")) == [b"another"]
        assert await digests(storage) == []

    async def test_the_newest_version_comes_first(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")
        for number, digest in enumerate((b"a", b"b", b"c")):
            await storage.add_version("doc", draft(digest, minutes=number))
        assert await digests(storage) == [b"c", b"b", b"a"]
        ids = [version.id for version in await storage.versions("doc")]
        assert ids == sorted(ids, reverse=True)

    async def test_versions_are_chosen_by_time_title_and_number(
        self, storage: HistoryStorage
    ) -> None:
        await appended(storage, b"one")
        for number, digest in enumerate((b"a", b"b", b"c", b"d")):
            title = "T" if digest == b"b" else ""
            await storage.add_version("doc", draft(digest, title=title, minutes=number))
        second, third = (START + timedelta(minutes=number) for number in (1, 2))
        for choice, digests in (
            (VersionChoice(since=third), [b"d", b"c"]),
            (VersionChoice(before=third), [b"b", b"a"]),
            (VersionChoice(since=second, before=third), [b"b"]),
            (VersionChoice(named=True), [b"b"]),
            (VersionChoice(limit=2), [b"d", b"c"]),
        ):
            assert [v.digest for v in await storage.versions("doc", choice)] == digests

    async def test_edits_count_from_the_version_before(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")
        await storage.add_version("doc", draft(b"a", edits=10))
        assert (await storage.add_version("doc", draft(b"b", edits=14))).edits == 4
        assert (await storage.add_version("doc", draft(b"c", edits=2))).edits == 0

    async def test_an_automatic_version_of_an_equal_state_is_not_added(
        self, storage: HistoryStorage
    ) -> None:
        await appended(storage, b"one")
        named = await storage.add_version("doc", draft(kind=VersionKind.NAMED, title="T"))
        assert await storage.add_version("doc", draft(minutes=5), [entry(data=b"two")]) == named
        kept = await storage.add_version("doc", draft(kind=VersionKind.RESTORE))
        assert kept == named and await digests(storage) == [b"a"]
        assert rows(await storage.load("doc")) == [b"one", b"two"]

    async def test_an_automatic_version_of_an_equal_state_gets_the_name(
        self, storage: HistoryStorage
    ) -> None:
        await appended(storage, b"one")
        auto = await storage.add_version("doc", draft())
        named = await storage.add_version(
            "doc", draft(kind=VersionKind.NAMED, title="T", minutes=5)
        )
        assert (named.id, named.at, named.title) == (auto.id, auto.at, "T")
        assert named.kind == VersionKind.NAMED and await digests(storage) == [b"a"]

    async def test_two_names_of_an_equal_state_share_it(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")
        for title in ("one", "two"):
            await storage.add_version("doc", draft(kind=VersionKind.NAMED, title=title))
        two, one = await storage.versions("doc")
        assert (one.title, one.edits, two.title, two.edits) == ("one", 10, "two", 0)
        assert await storage.delete_versions("doc", [one.id]) == 1
        assert (await loaded(storage, two.id)).states == [state(b"a")]

    async def test_a_state_comes_with_its_base(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")
        first = await storage.add_version("doc", draft(b"a"))
        second = await storage.add_version("doc", draft(b"b", base=b"a"))
        third = await storage.add_version("doc", draft(b"c", base=b"a"))
        assert await storage.delete_versions("doc", [first.id, third.id, first.id, 10**9]) == 2
        assert (await loaded(storage, second.id)).states == [state(b"a"), state(b"b", b"a")]
        # Nothing needs the base any more, so the digest may come back with other data.
        await storage.delete_versions("doc", [second.id])
        await storage.add_version("doc", draft(b"a", edits=99))
        [again] = await storage.versions("doc")
        assert (await loaded(storage, again.id)).states == [state(b"a", edits=99)]

    async def test_a_state_whose_base_was_deleted_is_refused(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")
        first = await storage.add_version("doc", draft(b"a"))
        await storage.delete_versions("doc", [first.id])
        with pytest.raises(BaseNotFound):
            await storage.add_version("doc", draft(b"b", base=b"a"), [entry(data=b"two")])
        assert await digests(storage) == []
        assert rows(await storage.load("doc")) == [b"one"]

    async def test_titles_change_and_automatic_versions_become_named(
        self, storage: HistoryStorage
    ) -> None:
        await appended(storage, b"one")
        auto = await storage.add_version("doc", draft(b"a"))
        restore = await storage.add_version("doc", draft(b"b", VersionKind.RESTORE))
        for version in (auto, restore):
            assert await storage.title_version("doc", version.id, "title")
        assert [(v.title, v.kind) for v in await storage.versions("doc")] == [
            ("title", VersionKind.RESTORE),
            ("title", VersionKind.NAMED),
        ]
        for version in (auto, restore):
            assert await storage.title_version("doc", version.id, "")
        assert [*await storage.versions("doc")] == [restore, auto]

    async def test_versions_of_other_documents_are_out_of_reach(
        self, storage: HistoryStorage
    ) -> None:
        await appended(storage, b"one")
        await appended(storage, b"other", name="other")
        version = await storage.add_version("doc", draft())
        await storage.add_version("other", draft())
        assert await storage.load_version("other", version.id) is None
        assert not await storage.title_version("other", version.id, "title")
        assert await storage.delete_versions("other", [version.id]) == 0
        assert await storage.versions("doc") == [version]

    async def test_delete_takes_the_versions(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")
        version = await storage.add_version("doc", draft())
        await storage.delete("doc")
        assert await storage.versions("doc") == []
        await appended(storage, b"new")
        assert await storage.versions("doc") == []
        assert await storage.load_version("doc", version.id) is None

    async def test_rename_takes_the_versions_along(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")
        version = await storage.add_version("doc", draft())
        await storage.rename("doc", "moved")
        assert await storage.versions("moved") == [version]
        assert await storage.versions("doc") == []
        await appended(storage, b"other")
        with pytest.raises(DocumentExists):
            await storage.rename("doc", "moved")
        assert await storage.versions("moved") == [version]

    async def test_compaction_leaves_the_versions(self, storage: HistoryStorage) -> None:
        stored = await appended(storage, b"one")
        version = await storage.add_version("doc", draft())
        await storage.replace("doc", stored, b"snapshot")
        assert await storage.versions("doc") == [version]

    async def test_simultaneous_equal_automatic_versions_are_one(
        self, storage: HistoryStorage
    ) -> None:
        await appended(storage, b"one")
        added = await parallel(storage, *(storage.add_version("doc", draft()) for _ in range(8)))
        assert len({version.id for version in added}) == 1
        assert await digests(storage) == [b"a"]

    async def test_versions_and_appends_at_the_same_time(self, storage: HistoryStorage) -> None:
        await appended(storage, b"one")

        async def work(number: int) -> None:
            for step in range(4):
                digest = b"%d %d" % (number, step)
                version = await storage.add_version("doc", draft(digest), [entry(data=digest)])
                await storage.append([entry(data=b"more")])
                if step % 2:
                    await storage.delete_versions("doc", [version.id])

        await parallel(storage, *map(work, range(4)))
        assert sorted(await digests(storage)) == sorted(
            b"%d %d" % (number, step) for number in range(4) for step in (0, 2)
        )
        assert len(rows(await storage.load("doc"))) == 1 + 4 * 4 * 2

    # Authorship.

    async def test_folding_adds_contributions_with_the_snapshot(
        self, storage: HistoryStorage
    ) -> None:
        parts = [contribution("7", 0), contribution("8", 5)]
        for number, part in enumerate(parts):
            stored = await appended(storage, b"%d" % number)
            assert await storage.fold("doc", stored, b"snapshot", part)
        assert await storage.authorship("doc") == joined(*parts)
        folded = await storage.load("doc")
        assert folded is not None and (folded.snapshot, [*folded.log]) == (b"snapshot", [])

    async def test_folding_late_adds_nothing(self, storage: HistoryStorage) -> None:
        stored = await appended(storage, b"one")
        assert await storage.fold("doc", stored, b"first", contribution("7", 0))
        assert not await storage.fold("doc", stored, b"second", contribution("7", 0))
        assert await storage.authorship("doc") == contribution("7", 0)

    async def test_contributions_go_with_their_document(self, storage: HistoryStorage) -> None:
        stored = await appended(storage, b"one")
        await storage.fold("doc", stored, b"snapshot", contribution("7", 0))
        await storage.rename("doc", "moved")
        assert await storage.authorship("moved") == contribution("7", 0)
        assert await storage.authorship("doc") == Authorship([], [])
        await storage.delete("moved")
        await appended(storage, b"new", name="moved")
        assert await storage.authorship("moved") == Authorship([], [])

    async def test_the_log_has_the_times(self, storage: HistoryStorage) -> None:
        stored = await appended(storage, b"one")
        assert [row.at for row in stored.log] == [START]

    async def test_a_user_is_forgotten_everywhere(self, storage: HistoryStorage) -> None:
        both = joined(contribution("7", 0), contribution("8", 5))
        stored = await appended(storage, b"one")
        await storage.fold("doc", stored, b"snapshot", both)
        await storage.add_version("doc", draft())
        before = await appended(storage, b"two")
        await storage.append([LogEntry("other", b"one", START, "8")])
        assert await storage.forget_user("7") == 1
        assert await storage.forget_user("7") == 0
        after = await storage.load("doc")
        assert after is not None and [row.user_id for row in after.log] == [None]
        assert await storage.authorship("doc") == joined(
            contribution(None, 0), contribution("8", 5)
        )
        [version] = await storage.versions("doc")
        assert (version.made_by, version.by) == (None, ("8",))
        # A compaction that has read the user before does not bring it back.
        assert not await storage.fold("doc", before, b"late", contribution("7", 9))


def contribution(user_id: str | None, start: int) -> Authorship:
    """Return insertions and deletions of a user."""
    times = START, START + timedelta(minutes=1)
    return Authorship(
        [AuthorRange(2**53 - 1, start, start + 5, user_id, *times)],
        [DeletionCount(user_id, 3, *times)],
    )


def joined(*parts: Authorship) -> Authorship:
    return Authorship(
        [each for part in parts for each in part.ranges],
        [each for part in parts for each in part.deletions],
    )
