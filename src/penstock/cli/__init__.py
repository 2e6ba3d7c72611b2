"""The command line: one module a command, and what they share.

    _app              the commands and their options
    _options          those that several have
    _demo             what `penstock demo` does, step by step
    _demo_report      what it says
    _photographs      crops of photographs that other packages ship
    _training_images  these, or the user's own images, checked
    _feeds            penstock's, and Keras's with the same settings
    _feed_rates       images per second of both
    _training         fitting it, with progress
    _grid, _picture   augmented images, and their file
    _check            what `penstock check` does, step by step
    _check_report     what it says
    _check_list       the list that it writes
    _preview          what `penstock preview` does
    _tune             what `penstock tune` does, step by step
    _tune_report      what it says
    _tune_process     the process that measures, from without
    _tune_measure     and from within
    _tune_rounds      in which order it measures
    _tune_findings    what it tells
    _tune_choice      which setting to recommend
    _train_app        the options of `penstock train`
    _train            what it does, step by step
    _train_report     what it says
    _train_options    what the user chose, and what may not change in a run
    _augment_option   settings of a generator as one option
    _models           models by name
    _train_data       the images
    _train_loop       fitting, so that it can stop after any batch
    _train_callbacks  what Keras calls meanwhile
    _train_state      where a run is, in a file
    _train_files      the run's folder
    _confusion        which classes are taken for which
    _stop_signals     Ctrl-C as a wish
    _train_track      its run in the record
    _reproduce_app    the options of `penstock reproduce`
    _reproduce        what it does, step by step
    _reproduce_report what it says
    _recipe           how a recorded run was begun
    _checkout         a folder in which it can run again
    _then_and_now     what differs, and how close two runs are
    _child            a program that a command runs
    _guard            which ends it when the command is gone
    _sweep_app        the options of `penstock sweep`
    _sweep            what it does, step by step
    _sweep_cluster    the same on a cluster
    _sweep_ray        which is Ray's
    _sweep_run        a run there
    _sweep_report     what it says
    _sweep_grid       its runs
    _sweep_files      what it keeps, and what its runs have written
    _sweep_plot       the picture of its results
    _plan_app         the options of `penstock plan`
    _plan             what it does, step by step
    _plan_report      what it says
    _plan_figures     its figures
    _plan_units       numbers and sizes as people write them
    _plan_folder      what images of a folder are like
    _plan_plot        the picture of it
    _bench_app        `penstock bench` and its options
    _bench            what it does, step by step
    _bench_report     what it says
    _bench_data       what it feeds
    _bench_files      what it writes
    _split_flat       class folders of links, for a flat folder of images
    _devices          what Keras trains on
    _verify           what `penstock verify` does, step by step
    _verify_report    what it says
    _runs             what `penstock runs` does
    _runs_report      what it says
    _where            conditions on runs
    _compare          what `penstock compare` does
    _compare_report   what it says
    _compare_page     the same as a page
    _curves           curves of several runs
    _run_store        where both find runs
    _file_reads       whether files came from the disk
    _load_keras       Keras on a back end that is there
    _terminal         bars and spinners, and text that any terminal can print
    _quiet            decoders that would talk into them
    _ctrl_c           which Keras would swallow
    _endings          how every command ends

Commands load what they need when they run: `penstock --version` needs neither Keras nor an extra beyond Typer.
"""

from __future__ import annotations

import os

from penstock.cli._endings import plain_endings


def main() -> None:
    """Run the command line; the entry point of `penstock`."""
    if os.environ.get("KERAS_BACKEND") != "tensorflow":
        # Where it is installed, Keras imports it whatever the back end, and it would talk about itself.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    with plain_endings():
        import penstock.cli._plan_app
        import penstock.cli._reproduce_app
        import penstock.cli._sweep_app
        import penstock.cli._train_app  # noqa: F401, they add their commands
        from penstock.cli._app import app

        app()
