"""Every fault that a run may meet, what must happen, and the test that makes it happen.

`docs/faults.md` is `coverage_table()`; `python tests/test_faults.py` writes it.
"""

import ast
import dataclasses
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import pytest

TESTS = pathlib.Path(__file__).parent
PAGE = TESTS.parent / "docs" / "faults.md"


class Fault(NamedTuple):
    """`tests` are names as pytest knows them, below `tests/`; without any, `open` says why."""

    fault: str
    expectation: str
    tests: tuple[str, ...] = ()
    open: str = ""


DEMONSTRATIONS = "with sources that read demonstrations"
CHECKPOINT, RUN, PROGRESS, HERE = "test_checkpoint.py", "test_run.py", "test_progress.py", "test_faults.py"
COMMANDS, DOCTOR, CHECK, SHORTAGE = "test_cli.py", "test_doctor.py", "test_check_env.py", "test_shortage.py"
EVALUATION, REPORT, HOSTED = "test_evaluation.py", "test_report.py", "core/test_hosted.py"
GYMNASIUM, WORKERS = "worlds/adapters/test_gymnasium.py", "worlds/adapters/test_workers.py"

FAULTS = {
    1: Fault(
        "`kill -9` during a checkpoint",
        "the same command ends in the bits of a run that was not killed; nothing half-written stays",
        (
            f"{RUN}::test_killed_at_any_moment_ends_in_the_same_bits",
            f"{RUN}::test_learners_killed_at_any_moment_end_in_the_same_bits",
            f"{CHECKPOINT}::test_stale_folders_are_removed",
        ),
    ),
    2: Fault(
        "`kill -9` between checkpoints",
        "at most the interval is computed again; `metrics.jsonl` loses no row and doubles none",
        (f"{RUN}::test_killed_between_checkpoints_loses_no_row_and_doubles_none",),
    ),
    3: Fault(
        "disk full while saving",
        "earlier steps untouched, nothing half-written, training goes on; exit 5 after 3 failures in a row",
        (
            f"{RUN}::test_a_disk_that_is_full_for_a_while_costs_one_checkpoint",
            f"{RUN}::test_three_full_disks_while_saving_end_the_run",
        ),
    ),
    4: Fault(
        "disk full while logging",
        "training goes on; one warning, and the number of rows dropped",
        (f"{RUN}::test_a_disk_full_while_logging_costs_rows_alone",),
    ),
    5: Fault(
        "truncated checkpoint",
        "the file is named, the step before it serves; exit 5 if there is none",
        (
            f"{CHECKPOINT}::test_a_truncated_file_is_noticed",
            f"{CHECKPOINT}::test_no_intact_step_is_a_storage_error",
            f"{RUN}::test_a_damaged_newest_step_costs_an_interval_and_no_bit",
            f"{RUN}::test_no_intact_step_does_not_begin_anew",
        ),
    ),
    6: Fault(
        "one flipped bit",
        "does not match its SHA-256; as 5",
        (f"{CHECKPOINT}::test_a_flipped_bit_is_noticed", f"{CHECKPOINT}::test_a_damaged_export_is_refused"),
    ),
    7: Fault(
        "a file or the manifest missing, an empty step",
        "as 5",
        (f"{CHECKPOINT}::test_an_incomplete_step_is_put_aside",),
    ),
    8: Fault(
        "a pickle in place of a checkpoint",
        "refused, and not executed",
        (f"{CHECKPOINT}::test_a_pickle_is_refused_and_does_not_run",),
    ),
    9: Fault(
        "hostile sizes and paths, links, pipes",
        "refused unread; no file outside the step is opened",
        (
            f"{CHECKPOINT}::test_a_header_of_hostile_size_is_refused",
            f"{CHECKPOINT}::test_a_file_larger_than_its_arrays_is_never_read",
            f"{CHECKPOINT}::test_no_path_outside_the_step_is_opened",
            f"{CHECKPOINT}::test_links_and_pipes_are_refused",
        ),
    ),
    10: Fault(
        "checkpoint of another architecture",
        "exit 4 and every leaf that differs, with both shapes",
        (
            f"{CHECKPOINT}::test_another_architecture_is_told_leaf_by_leaf",
            f"{RUN}::test_another_architecture_is_refused",
        ),
    ),
    11: Fault(
        "same shapes, another type",
        "exit 4; nothing is cast",
        (f"{CHECKPOINT}::test_another_type_is_refused", f"{CHECKPOINT}::test_another_kind_of_key_is_refused"),
    ),
    12: Fault(
        "resumed with another configuration",
        "exit 4 and the difference; iterations and logging may change, and an override is recorded",
        (
            f"{RUN}::test_another_configuration_is_refused_with_the_difference",
            f"{RUN}::test_more_iterations_may_be_asked_for",
            f"{RUN}::test_an_override_is_recorded",
            f"{COMMANDS}::test_train_refuses_another_configuration_unless_told",
        ),
    ),
    13: Fault(
        "resumed with other versions, or from a newer format",
        "warned: no longer bit-exact; a newer format is exit 4 and names the version needed",
        (
            f"{RUN}::test_other_versions_and_devices_are_warned_of",
            f"{RUN}::test_a_newer_format_names_the_version_needed",
            f"{CHECKPOINT}::test_a_newer_format_names_the_version_needed",
        ),
    ),
    14: Fault(
        "resumed on another number of devices",
        "works, and warned: no longer bit-exact",
        (f"{RUN}::test_other_versions_and_devices_are_warned_of",),
    ),
    15: Fault(
        "a finished run is started again",
        '"already complete at iteration N", exit 0, nothing rewritten',
        (
            f"{RUN}::test_a_finished_run_is_left_as_it_is",
            f"{COMMANDS}::test_train_makes_a_run_that_the_same_command_leaves_as_it_is",
        ),
    ),
    16: Fault(
        "two processes in one run directory",
        "the second exits 2 and names the first; the lock of a dead process is taken over",
        (
            f"{RUN}::test_a_second_process_is_refused_and_a_dead_one_is_succeeded",
            f"{COMMANDS}::test_a_run_directory_in_use_or_foreign_is_exit_2",
        ),
    ),
    17: Fault(
        "the run directory is not ours, not writable, or a file",
        "exit 2 before anything is computed, and nothing is touched",
        (
            f"{RUN}::test_a_directory_that_is_not_ours_is_refused_untouched",
            f"{RUN}::test_a_directory_that_cannot_be_written_is_refused",
            f"{RUN}::test_a_file_is_refused",
            f"{RUN}::test_a_foreign_run_json_is_a_usage_error",
            f"{COMMANDS}::test_a_run_directory_in_use_or_foreign_is_exit_2",
        ),
    ),
    18: Fault(
        "Ctrl-C once, twice",
        "once: finishes the chunk, stores it, exit 130; twice: at once",
        (
            f"{RUN}::test_asked_to_stop_it_stores_the_chunk_and_goes_on_later",
            f"{RUN}::test_asked_twice_it_stops_at_once",
        ),
    ),
    19: Fault(
        "SIGTERM",
        "stores a checkpoint, exit 75; the same command goes on",
        (f"{RUN}::test_asked_to_stop_it_stores_the_chunk_and_goes_on_later",),
    ),
    20: Fault(
        "NaN or infinite reward",
        "stops at the step and names it, exit 3; the last whole chunk is stored, and the same command goes on",
        (
            f"{GYMNASIUM}::test_a_fault_is_named_with_its_place",
            f"{HOSTED}::test_a_run_whose_environment_fails_stores_the_last_whole_chunk_and_goes_on",
        ),
    ),
    21: Fault(
        "NaN or infinite observation",
        "as 20, naming the key",
        (f"{GYMNASIUM}::test_a_fault_is_named_with_its_place", f"{CHECK}::test_a_bad_environment_gets_one_sentence"),
    ),
    22: Fault(
        "NaN loss or gradient from finite data",
        "the update is skipped and counted; exit 6 after n in a row",
        (
            f"{RUN}::test_losses_that_stay_not_finite_end_the_run",
            f"{RUN}::test_skipped_updates_count_and_a_good_one_forgives",
        ),
    ),
    23: Fault(
        "environment raises in mid-episode",
        "named with lane, episode, step, its own words and line, exit 3; made anew as often as allowed; as 20",
        (
            f"{GYMNASIUM}::test_a_fault_is_named_with_its_place",
            f"{GYMNASIUM}::test_restarts_cut_the_episode_and_are_counted",
            f"{WORKERS}::test_guarded_environments_in_processes_name_the_line_and_are_made_anew",
            f"{HOSTED}::test_a_run_whose_environment_fails_stores_the_last_whole_chunk_and_goes_on",
        ),
    ),
    24: Fault(
        "environment process dies",
        "named with its exit code, as 23; no process is left behind",
        (
            f"{WORKERS}::test_a_worker_that_dies_hangs_or_fails_is_named",
            f"{WORKERS}::test_an_environment_that_cannot_be_made_is_named",
        ),
    ),
    25: Fault(
        "environment hangs",
        "in a process of its own it is given up after a time limit of 60 s, or as told, as 24",
        (f"{WORKERS}::test_a_worker_that_dies_hangs_or_fails_is_named",),
    ),
    26: Fault(
        "observation of another shape or type",
        "key, expected, got and step are named",
        (f"{GYMNASIUM}::test_a_fault_is_named_with_its_place", f"{CHECK}::test_a_bad_environment_gets_one_sentence"),
    ),
    27: Fault(
        "action bounds unlike [−1, 1], or infinite",
        "rescaled; infinite ones refused",
        (f"{GYMNASIUM}::test_actions_never_leave_their_bounds",),
    ),
    28: Fault(
        "more than 127 discrete actions",
        "no action wraps around",
        (f"{GYMNASIUM}::test_no_discrete_action_wraps_around",),
    ),
    29: Fault(
        "unsupported spaces",
        "flattened where possible, else the leaf is named",
        (f"{GYMNASIUM}::test_other_spaces_are_flattened_or_refused_by_name",),
    ),
    30: Fault(
        "goal environment lacks a key, or contradicts itself",
        "`check-env` compares rewards",
        (f"{CHECK}::test_a_bad_environment_gets_one_sentence",),
    ),
    31: Fault(
        "environment ignores its seed",
        "`check-env` says where two resets differ, exit 3",
        (
            f"{CHECK}::test_a_bad_environment_gets_one_sentence",
            f"{COMMANDS}::test_check_env_is_exit_3_where_something_is_wrong",
        ),
    ),
    32: Fault(
        "cut confused with ended, reset step trained on",
        "each is what a counting environment did, in every autoreset mode; a mode that spends steps is refused",
        (
            f"{HOSTED}::test_hosted_and_online_record_the_same_steps",
            f"{GYMNASIUM}::test_no_step_is_spent_on_a_reset_and_the_end_is_kept",
            f"{GYMNASIUM}::test_a_vector_of_ones_own_is_taken_at_its_word_and_the_word_is_checked",
            f"{GYMNASIUM}::test_a_vector_that_may_spend_steps_on_resets_is_refused",
            f"{WORKERS}::test_workers_spend_no_step_on_a_reset",
            f"{WORKERS}::test_next_step_without_shared_memory_is_refused",
        ),
    ),
    33: Fault("demonstration of no steps", "named, exit 3", open=DEMONSTRATIONS),
    34: Fault("demonstration that does not fit", "every problem at once", open=DEMONSTRATIONS),
    35: Fault("demonstrations of another environment", "spaces compared before compiling", open=DEMONSTRATIONS),
    36: Fault("data set missing or partly written", "the path and the command that fetches it", open=DEMONSTRATIONS),
    37: Fault(
        "instruction that is not UTF-8, too long, of control characters",
        "refused or cut, and said",
        (
            f"{COMMANDS}::test_bad_rules_are_exit_3_and_name_file_and_mend",
            f"{COMMANDS}::test_a_text_of_100_000_characters_is_cut_with_a_warning",
        ),
    ),
    38: Fault(
        "empty instruction",
        "refused, or read as no instruction",
        (f"{COMMANDS}::test_bad_rules_are_exit_3_and_name_file_and_mend",),
    ),
    39: Fault(
        "unknown words",
        "their share is reported",
        (
            f"{HERE}::test_words_that_the_agent_does_not_know_are_told_of",
            "worlds/boardgames/test_words.py::test_unknown_words_are_counted",
        ),
    ),
    40: Fault(
        "unknown or wrong configuration key",
        "exit 2, and 3 for a key of a rules file; the nearest valid key",
        (
            f"{COMMANDS}::test_a_wrong_line_is_exit_2_and_one_sentence",
            f"{COMMANDS}::test_bad_rules_are_exit_3_and_name_file_and_mend",
        ),
    ),
    41: Fault(
        "k-shot evaluation with k out of range, or tasks in both splits",
        "refused",
        (
            f"{EVALUATION}::test_shots",
            f"{EVALUATION}::test_a_held_out_task_that_was_trained_on_is_found_by_name_and_under_another",
        ),
    ),
    42: Fault(
        "interval from one seed",
        '"n/a (1 run)"',
        (f"{EVALUATION}::test_a_single_run_has_no_interval_and_says_so",),
    ),
    43: Fault("teacher fails", "as 23, naming the teacher", open="with sources that ask a teacher"),
    44: Fault(
        "out of memory",
        "exit 2 with the largest arrays and what to lower; what was stored stays",
        (
            f"{SHORTAGE}::test_a_state_that_no_machine_holds_is_told_with_its_largest_arrays",
            f"{SHORTAGE}::test_what_was_stored_before_stays_and_is_gone_on_with",
            f"{SHORTAGE}::test_lanes_length_and_replay_are_what_to_lower",
        ),
    ),
    45: Fault(
        "no GPU though asked for, or one that stays idle",
        "exit 2; a loud warning",
        (
            f"{DOCTOR}::test_a_gpu_that_is_not_there_is_a_usage_error",
            f"{DOCTOR}::test_an_idle_gpu_is_warned_of_unless_it_is_left_alone_on_purpose",
            f"{DOCTOR}::test_an_idle_gpu_is_loud_and_exit_2",
        ),
    ),
    46: Fault(
        "optional package missing or too old",
        "the line that installs it",
        (
            f"{HERE}::test_a_missing_extra_names_its_install_line",
            f"{DOCTOR}::test_missing_and_old_packages_come_with_the_line_that_mends_them",
        ),
    ),
    47: Fault(
        "no HOME, read-only home, no terminal, locale without Unicode, paths with spaces",
        "works; progress becomes lines",
        (
            f"{HERE}::test_a_poor_host_is_enough",
            f"{DOCTOR}::test_a_home_that_cannot_be_written_turns_the_cache_off_with_one_line",
            f"{COMMANDS}::test_a_locale_without_umlauts_is_enough",
            f"{PROGRESS}::test_lines_survive_a_locale_that_cannot_show_a_path",
            f"{PROGRESS}::test_without_a_terminal_there_are_lines",
        ),
    ),
    48: Fault(
        "the clock jumps",
        "rates come from a clock that does not; nothing is named after the time",
        (f"{PROGRESS}::test_lines_count_from_the_beginning_and_leave_compilation_out_of_the_rate",),
    ),
    49: Fault(
        "TensorBoard fails",
        "dropped with one warning; `metrics.jsonl` is complete",
        (f"{RUN}::test_tensorboard_that_fails_is_dropped_with_one_warning",),
    ),
    50: Fault("one of several distributed processes dies", "all exit non-zero", open="training is one process"),
    51: Fault(
        "episodes of one step, or without end",
        "learned from; a time limit is demanded",
        (
            f"{GYMNASIUM}::test_no_step_is_spent_on_a_reset_and_the_end_is_kept",
            "scratch/test_ppo.py::test_the_policy_follows_what_is_seen",
            f"{CHECK}::test_a_bad_environment_gets_one_sentence",
            f"{CHECK}::test_a_bad_world_gets_one_sentence",
        ),
    ),
    52: Fault(
        "report of runs unfinished or mixed",
        "unfinished ones are listed and left out; mixed ones refused unless grouped",
        (
            f"{REPORT}::test_runs_that_are_not_complete_are_left_out_and_listed",
            f"{REPORT}::test_mixed_configurations_are_refused_unless_grouped",
        ),
    ),
}


def coverage_table() -> str:
    """The page of the documentation."""
    covered = sum(bool(fault.tests) for fault in FAULTS.values())
    by = lambda row: ", ".join(f"`{name}`" for name in row.tests) or f"— ({row.open})"
    rows = [f"| {number} | {row.fault} | {row.expectation} | {by(row)} |" for number, row in FAULTS.items()]
    return "\n".join(
        [
            "# Faults",
            "",
            "What can go wrong in a run, what must happen then, and the test that makes it go wrong. "
            f"{covered} of {len(FAULTS)} are tested here so far.",
            "",
            "Exit codes: 0 done, 1 a bug of ours, 2 usage, 3 bad data or environment, 4 cannot resume, 5 storage, "
            "6 numerical stop, 75 stopped by SIGTERM, 130 by Ctrl-C. After 75 and 130 the same command goes on.",
            "",
            "Bit-exact means: on the same kind of machine, with the same versions, devices and XLA flags, a run that "
            "was interrupted ends in the same bits as one that was not. With anything of that changed it is equal only "
            "statistically, and a warning says so.",
            "",
            "| # | fault | what must happen | test |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def test_the_page_is_the_table():
    assert PAGE.read_text(encoding="utf-8") == coverage_table(), "python tests/test_faults.py writes it"


def test_every_row_is_there_and_says_what_covers_it():
    assert list(FAULTS) == list(range(1, 53))
    assert all(bool(row.tests) != bool(row.open) for row in FAULTS.values())


@pytest.mark.parametrize("name", sorted({name for row in FAULTS.values() for name in row.tests}))
def test_every_test_named_exists(name):
    file, function = name.split("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_a_missing_extra_names_its_install_line():
    from headstart.errors import MissingExtra, require

    with pytest.raises(MissingExtra, match=r"pip install 'headstart-rl\[log\]'") as told:
        require("a_module_that_is_nowhere", "log")
    assert told.value.exit_code == 2


def test_words_that_the_agent_does_not_know_are_told_of(monkeypatch, tmp_path):
    from headstart.newgame import job
    from headstart.progress import Quiet
    from headstart.worlds.boardgames.rules import CLASSICS

    class Enough(Exception):
        pass

    class Listener(Quiet):
        def say(self, sentence):
            said.append(sentence)

    def stop():
        raise Enough

    said = []
    monkeypatch.setattr(job.prior, "load", stop)
    rules = dataclasses.replace(CLASSICS["connect_four"], text="Zyzzyva stones win.")
    with pytest.raises(Enough):
        job.meet(rules, directory=tmp_path, observer=Listener())
    assert said[-1] == "33% of these words are new to the agent."


def test_a_poor_host_is_enough(tmp_path):
    """No HOME, a home that cannot be written, the C locale, no terminal, and a path with spaces and umlauts."""
    directory = tmp_path / "mit Leerzeichen und Ümläuten"
    poor = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/proc/nowhere", "PYTHONUTF8": "0"}
    poor |= {"PYTHONCOERCECLOCALE": "0"}
    line = [sys.executable, str(TESTS / "resumable.py"), "tiny", str(directory), "16", "--progress"]
    done = subprocess.run(line, env=poor, stdin=subprocess.DEVNULL, capture_output=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"16 of 16" in done.stderr
    assert (directory / "checkpoints/16/manifest.json").is_file()
    del poor["HOME"]
    again = subprocess.run(line, env=poor, stdin=subprocess.DEVNULL, capture_output=True, cwd=tmp_path, timeout=120)
    assert again.returncode == 0, again.stderr
    assert b"already complete at iteration 16" in again.stderr


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(coverage_table(), encoding="utf-8")
