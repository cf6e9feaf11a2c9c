from __future__ import annotations

from collab.engine.storing.marks import DocumentMarks
from collab_storage.base import Mark


def accept(marks: DocumentMarks, found: Mark) -> bool:
    return marks.accept("notes", found, marks.current(["notes"])["notes"])


def test_rows_of_this_process_are_known_and_rows_of_others_are_news() -> None:
    marks = DocumentMarks()
    marks.opened("notes", 7, 3)
    assert accept(marks, Mark(7, 3))
    marks.appended("notes", 2)
    assert accept(marks, Mark(7, 5))
    assert not accept(marks, Mark(7, 6))
    # Once read, they are known.
    assert accept(marks, Mark(7, 6))


def test_rows_appended_while_the_storage_was_asked_are_known_whether_counted_or_not() -> None:
    marks = DocumentMarks()
    marks.opened("notes", 7, 3)
    before = marks.current(["notes"])["notes"]
    marks.appended("notes", 1)
    assert marks.accept("notes", Mark(7, 3), before)
    assert marks.accept("notes", Mark(7, 4), before)


def test_the_version_of_a_new_document_is_learnt_from_the_storage() -> None:
    marks = DocumentMarks()
    marks.created("notes", 0)
    marks.appended("notes", 1)
    assert accept(marks, Mark(9, 1))
    assert not accept(marks, Mark(8, 1))


def test_a_document_that_could_not_be_read_is_read_again() -> None:
    marks = DocumentMarks()
    marks.opened("notes", 7, 3)
    marks.doubt("notes")
    marks.appended("notes", 1)
    assert not accept(marks, Mark(7, 4))


def test_the_log_is_counted_from_the_last_compaction() -> None:
    marks = DocumentMarks()
    marks.opened("notes", 7, 3)
    assert marks.appended("notes", 2) == 5
    marks.compacting("notes")
    assert marks.appended("notes", 1) == 1


def test_a_closed_document_is_nothing_to_it() -> None:
    marks = DocumentMarks()
    marks.opened("notes", 7, 3)
    marks.forget("notes")
    marks.compacting("notes")
    marks.doubt("notes")
    assert marks.appended("notes", 5) == 0
    assert accept(marks, Mark(7, 99))
    assert marks.current(["notes"]) == {"notes": None}


def test_the_id_of_a_document_is_that_of_its_loading_or_of_its_first_append() -> None:
    marks = DocumentMarks()
    marks.opened("notes", 7, 3, 12)
    marks.identify("notes", 13)
    assert marks.id_of("notes") == 12
    marks.created("plans", 0)
    assert marks.id_of("plans") is None
    marks.identify("plans", 14)
    assert marks.id_of("plans") == 14
    marks.identify("closed", 15)
    assert marks.id_of("closed") is None
