"""The benchmark's tables and plots say what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.aims import AIMS
from bench.compare import Heat, missing, plan
from bench.plots import BARS, PLOTS, make_plots
from bench.report import report
from bench.results import Circumstances, Measurement, read, write
from bench.scenarios import SCENARIOS
from bench.servers import CONTESTANTS

CPU = "bursts of all: CPU per delivered update, µs"
JOIN = "typing in a small room meanwhile, p99, ms"
ON = Circumstances({"collab": "1", "left": "2", "right": "3"}, ["left", "right"], 3)


def found(
    server: str, value: float, run: int = 1, scenario: str = "fanout-50", figure: str = CPU
) -> Measurement:
    """Return a measurement of one figure, in a room of so many members as the scenario says."""
    family, _, size = scenario.partition("-")
    members = {"size": int(size) if size.isdecimal() else 1}
    figures = {figure: value}
    return Measurement(scenario, family, "the title", members, server, run, figures)


def failed(server: str) -> Measurement:
    """Return a measurement that has come to nothing."""
    return Measurement("fanout-50", "fanout", "the title", {}, server, 1, error="it broke")


def lines(*measurements: Measurement) -> list[str]:
    """Return the lines of the report."""
    return report([ON], measurements).splitlines()


def test_cells_are_medians_and_how_many_times_better_than_the_best_peer() -> None:
    ours = [found("collab", value, run) for run, value in enumerate([9, 2, 1], 1)]
    row = lines(*ours, found("left", 8), found("right", 6))[2]
    assert row == f"| the title | {CPU} | **3.00** (2) | **0.75** (8) | **1.00** (6) |"


@pytest.mark.parametrize(
    ("value", "verdict"), [(2, "| 3.00 times | reached |"), (3, "not reached |")]
)
def test_aim_is_reached_or_not(value: float, verdict: str) -> None:
    text = lines(found("collab", value), found("hocuspocus", 6))
    (line,) = [line for line in text if "2.5" in line]
    assert line.startswith(f"| the title | {CPU} | hocuspocus | 2.5 times | ")
    assert line.endswith(verdict)


def test_aim_names_the_server_that_it_is_compared_with() -> None:
    figure = "one at a time: CPU per delivered update, µs"
    servers = {"collab": 2.0, "y-websocket-server": 4.0, "hocuspocus": 6.0, "bare-hub": 1.0}
    found_here = [found(name, value, 1, "rooms-200", figure) for name, value in servers.items()]
    table = [line for line in lines(*found_here) if "reached" in line or "not measured" in line]
    assert [line.split(" | ")[2:] for line in table] == [
        ["y-websocket-server", "1.5 times", "2.00 times", "reached |"],
        ["hocuspocus", "3.5 times", "3.00 times", "not reached |"],
        ["y-websocket-leveldb", "", "", "not measured beside it |"],
        ["bare-hub", "at most 3 times", "2.00 times", "reached |"],
    ]


@pytest.mark.parametrize(("addressed", "verdict"), [(3, "reached |"), (5, "not reached |")])
def test_addressed_frames_are_to_be_as_far_ahead_as_plain_ones(
    addressed: float, verdict: str
) -> None:
    figure, values = "bursts: CPU per delivered update, µs", {"collab": 4.0, "hocuspocus": 8.0}
    plain = [found(name, value, 1, "addressed-rooms-200", figure) for name, value in values.items()]
    shared = [
        found("collab-addressed", addressed, 1, "addressed-shared-200", figure),
        found("hocuspocus", 8, 1, "addressed-shared-200", figure),
    ]
    (line,) = [line for line in lines(*plain, *shared) if "reached" in line]
    assert line.split(" | ")[2:4] == ["hocuspocus", "2 times"]
    assert line.endswith(verdict)


def test_addressed_frames_without_plain_ones_beside_them_have_no_verdict() -> None:
    figure, scenario = "bursts: CPU per delivered update, µs", "addressed-shared-200"
    shared = [found(name, 1, 1, scenario, figure) for name in ("collab-addressed", "hocuspocus")]
    assert any("not measured with plain frames" in line for line in lines(*shared))


def test_repetitions_of_servers_that_start_anew_say_how_far_they_are_apart() -> None:
    figure = "memory per room, KB"
    text = lines(*(found("collab", value, value, "memory-rooms", figure) for value in (8, 10, 12)))
    assert f"| the title | {figure} | collab | 20 |" in text


def test_aim_with_a_bound_needs_no_peer() -> None:
    (_, line) = [line for line in lines(found("collab", 50, 1, "joins-20mb", JOIN)) if JOIN in line]
    assert line == f"| the title | {JOIN} |  | at most 50 | 50 | reached |"


def test_aim_that_no_peer_can_be_compared_in_is_reported() -> None:
    text = lines(found("collab", 1), failed("left"))
    assert any("not measured beside it" in line for line in text)


def test_a_table_has_the_servers_that_were_put_into_its_scenarios() -> None:
    both = [found(name, 1, 1, scenario) for scenario in "ab" for name in ("collab", "left")]
    text = lines(*both, found("collab", 1, 1, "c"), found("right", 1, 1, "c"))
    heads = [line for line in text if line.startswith("|  |  |")]
    assert heads == ["|  |  | collab | left |", "|  |  | collab | right |"]
    assert text.index(heads[1]) == 5


def test_many_servers_are_below_each_other() -> None:
    names = [f"server {number}" for number in range(7)]
    on = Circumstances(dict.fromkeys(names, "1"), names, 1)
    text = report([on], [found(name, 2) for name in names]).splitlines()
    assert text[:3] == [f"| the title | {CPU} |", "| --- | ---: |", "| server 0 | **1.00** (2) |"]
    assert text[8:10] == ["| server 6 | **1.00** (2) |", ""]


def test_figures_about_precision_have_a_table_of_their_own() -> None:
    sure = found("collab", 3, figure="rounds: bursts: measured rounds, ± %")
    text = lines(found("collab", 2), found("left", 4), sure)
    assert text[:4][2:] == [f"| the title | {CPU} | **2.00** (2) | **1.00** (4) |", ""]
    assert "| How sure it is |  |  | measured rounds, ± % |" in text
    assert "| the title | bursts | collab | 3 |" in text


def test_failure_is_reported_with_its_reason() -> None:
    text = lines(found("collab", 1), failed("left"), failed("left"))
    assert text[2].endswith("| (1) | failed |")
    assert "- left failed in \u201cthe title\u201d: it broke (2 times)" in text


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    file, measurements = tmp_path / "deep" / "results.jsonl", [found("collab", 1), failed("left")]
    write(file, ON)
    for each in measurements:
        write(file, each)
    assert read(file) == ([ON], measurements)


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text('{"record": "Measurement"}')
    with pytest.raises(ValueError, match="has no results of the benchmark"):
        read(file)


def test_plots_are_made_of_what_was_measured_in_several_places(tmp_path: Path) -> None:
    rooms = [found("collab", size, 1, f"fanout-{size}") for size in (50, 400)]
    files = make_plots(rooms, tmp_path)
    assert sorted(file.name for file in files) == [
        "compared.png",
        "compared.svg",
        "growth-members.png",
        "growth-members.svg",
    ]
    assert all(file.stat().st_size for file in files)


def test_same_results_make_the_same_drawing(tmp_path: Path) -> None:
    first, second = (make_plots([found("collab", 1)], tmp_path / name) for name in "ab")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_aims_and_plots_are_of_scenarios_that_there_are() -> None:
    names = {scenario.name for scenario in SCENARIOS}
    assert {aim.scenario for aim in AIMS} | {bar.scenario for bar in BARS} <= names
    families = {scenario.family: scenario for scenario in SCENARIOS}
    assert all(hasattr(families[plot.family], plot.parameter) for plot in PLOTS)


def planned(*scenarios: str, servers: Sequence[str] = ("collab", "hocuspocus")) -> list[Heat]:
    """Return what is measured of these scenarios, three times."""
    return [*plan([each for each in SCENARIOS if each.name in scenarios], servers, 3)]


def runs(heats: Sequence[Heat]) -> list[tuple[int, list[str]]]:
    """Return the number of each heat and its servers."""
    return [(heat.run, [each.name for each in heat.contestants]) for heat in heats]


def test_warm_servers_are_started_once_and_measured_in_turns() -> None:
    heats = planned("rooms-200")
    assert runs(heats) == [(1, ["collab", "hocuspocus"])]
    assert heats[0].scenario.pace.turns == 3


def test_servers_that_start_anew_do_so_each_time_and_each_is_the_first() -> None:
    assert runs(planned("memory-rooms")) == [
        (1, ["collab", "hocuspocus"]),
        (2, ["hocuspocus", "collab"]),
        (3, ["collab", "hocuspocus"]),
    ]


def test_resumed_run_measures_what_is_missing() -> None:
    known = [
        found("collab", 1, 1, "rooms-200"),
        *(found(name, 1, 1, "memory-rooms") for name in ("collab", "hocuspocus")),
        found("collab", 1, 2, "memory-rooms"),
    ]
    assert runs(missing(planned("rooms-200", "memory-rooms"), known)) == [
        (1, ["hocuspocus"]),
        (2, ["hocuspocus"]),
        (3, ["collab", "hocuspocus"]),
    ]


def test_every_server_is_measured_in_a_room_and_in_many() -> None:
    for name in ("fanout-50", "rooms-200"):
        scenario = next(each for each in SCENARIOS if each.name == name)
        available = {name for name, each in CONTESTANTS.items() if each.is_available}
        (heat,) = plan([scenario], None, 1)
        assert {each.name for each in heat.contestants} == available
