"""What `penstock train` does, step by step."""

from __future__ import annotations

import importlib.util
import shlex
import signal
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.cli._endings import CommandError, StoppedInOrder
from penstock.cli._load_keras import load_keras
from penstock.cli._train_options import Settings, TrainOptions
from penstock.cli._train_report import TrainReport, where

if TYPE_CHECKING:
    from penstock.cli._train_data import TrainData
    from penstock.cli._train_files import RunFolder
    from penstock.cli._train_state import RunState
    from penstock.keras._flow import Flow

_KEPT = ("rescale", "samplewise_center", "samplewise_std_normalization")  # what nothing is drawn for
_REFUSED = {
    "validation_split": "Use --validation.",
    "preprocessing_function": "It takes a function, which a command line cannot give.",
    "data_format": "Models are built for channels last.",
    "dtype": "Models are built for float32.",
    "featurewise_center": "It needs the mean that `fit` learns; samplewise_center does not.",
    "featurewise_std_normalization": "It needs what `fit` learns; samplewise_std_normalization does not.",
    "zca_whitening": "It needs what `fit` learns.",
    "zca_epsilon": "It is for zca_whitening.",
}


def run_train(options: TrainOptions, report: TrainReport) -> None:
    """Train, evaluate, and write what came of it to `options.out`.

    Raises:
        CommandError: the data, an option or the folder will not do; nothing has been written then. Or a batch could not
            be made: then the run has been saved.
        StoppedInOrder: on Ctrl-C and SIGTERM; the run has been saved.
    """
    with report.busy("Loading Keras"):
        keras = load_keras()

        from penstock.cli._models import build_model, load_weights, preprocessing
        from penstock.cli._train_data import find_data, training_flow, validation_flow
        from penstock.cli._train_files import RunFolder
        from penstock.cli._train_state import RunState
        from penstock.cli._train_track import check_trackable

    if options.track:
        check_trackable()
    folder = RunFolder(options.out)
    images = [options.directory, *filter(None, [options.validation_dir])]
    folder.check(images, resume=options.resume)
    old = RunState.load(folder.checkpoint) if options.resume else None
    if old is not None:
        options = options.completed(old.options)
    data = find_data(options.directory, options.validation, options.validation_dir)
    augment = _augment(options.augment)
    asked = preprocessing(options.model) | augment
    keras.utils.set_random_seed(options.seed)
    model = build_model(options.model, options.size, len(data.classes))
    model.optimizer.build(model.trainable_variables)

    with ExitStack() as flows:
        feeding = {"batch_size": options.batch_size, "workers": options.workers, "on_error": options.on_error}
        training = flows.enter_context(training_flow(data, asked, options.size, seed=options.seed, **feeding))
        kept = {name: value for name, value in asked.items() if name in (*_KEPT, "preprocessing_function")}
        validation = flows.enter_context(validation_flow(data, kept, options.size, **feeding))
        settings = _settings(options, augment, data, training, validation, keras.config.backend())
        report.heading(keras.version(), keras.config.backend())
        report.data(data)
        report.model(options.model, model.count_params(), options.size, options.batch_size, asked)
        if old is None:
            if options.weights is not None:
                report.weights(options.weights, load_weights(model, options.weights), len(model.weights))
            state = RunState(options.as_dict(), settings, training.state_dict()).taken(model, metrics=False)
        else:
            settings.check_same(old.settings, options.out)
            state = _resumed(old, options, folder, model, training)
            report.position(state, len(training))
        folder.save(state)  # a run that is killed at once can go on, too
        state = state if old is not None else state.without_arrays()
        state = _train(options, state, folder, model, training, validation, report)
        _evaluate(state, folder, model, data, training, validation, report)


def _augment(text: str) -> dict[str, Any]:
    from penstock.cli._augment_option import parse_augment

    values = parse_augment(text)
    for name, reason in _REFUSED.items():
        if name in values:
            raise CommandError(f"--augment cannot give {name} here. {reason}")
    return values


def _settings(
    options: TrainOptions, augment: dict[str, Any], data: TrainData, training: Flow, validation: Flow, backend: str
) -> Settings:
    return Settings(
        model=options.model,
        weights=None if options.weights is None else str(options.weights.resolve()),
        size=list(options.size),
        batch_size=options.batch_size,
        augment=augment,
        validation=data.validation or None,
        classes=list(data.classes),
        images=training.state_dict(position=0)["fingerprint"],
        validation_images=validation.state_dict(position=0)["fingerprint"],
        seed=options.seed,
        backend=backend,
    )


def _resumed(old: RunState, options: TrainOptions, folder: RunFolder, model: Any, training: Flow) -> RunState:
    """Put model and flow where a run was."""
    done = len(old.history)
    if options.epochs < done:
        raise CommandError(f"--epochs should be at least {done}, which the run has trained. Received: {options.epochs}")
    old.restore(model)
    training.load_state_dict(old.flow)
    best = old.best if folder.best.exists() else None
    return replace(old, options={**old.options, "epochs": options.epochs}, best=best)


def _train(
    options: TrainOptions,
    state: RunState,
    folder: RunFolder,
    model: Any,
    training: Flow,
    validation: Flow,
    report: TrainReport,
) -> RunState:
    from penstock.cli._train_loop import FeedFailed, TrainingLoop, TrainingStopped
    from penstock.cli._train_track import callbacks

    # Of what is finished there is nothing more to record.
    tracking = callbacks(options, folder, training) if state.epoch < options.epochs else ()
    loop = TrainingLoop(
        model,
        training,
        validation,
        state,
        folder,
        report,
        callbacks=[*options.callbacks(training), *tracking],
        save_s=60 * options.save_minutes,
    )
    try:
        with report.training(state, len(training), len(validation)):
            loop.run(options.epochs)
    except TrainingStopped as stop:
        place = where(loop.state, len(training))
        code = 128 + (stop.wish.signal or signal.SIGINT)
        raise StoppedInOrder(f"stopped {place}. Go on with: {_command(options)}", code) from None
    except KeyboardInterrupt:
        raise StoppedInOrder(f"stopped at once. Go on from what was saved last with: {_command(options)}") from None
    except FeedFailed as error:
        raise CommandError(
            f"{str(error).rstrip('.')}. Training stopped {where(loop.state, len(training))}, and --resume goes on "
            f"there. `penstock check {options.directory}` lists all such files; --on-error skip leaves them out."
        ) from None
    if tracking:
        report.tracked(tracking[-1].run, options.store)
    return loop.state


def _evaluate(
    state: RunState,
    folder: RunFolder,
    model: Any,
    data: TrainData,
    training: Flow,
    validation: Flow,
    report: TrainReport,
) -> None:
    """See what the best model does."""
    from penstock.cli._confusion import find_confusion, save_confusion

    if folder.best.exists():
        model.load_weights(folder.best)
    with report.evaluating(len(validation)) as advance:
        confusion = find_confusion(model, validation, data.classes, advance)
    has_picture = importlib.util.find_spec("matplotlib") is not None
    if has_picture:
        save_confusion(confusion, folder.confusion)
    report.result(state, data, confusion)
    report.bad_images([bad.reason for flow in (training, validation) for bad in flow.stats.bad])
    written = [folder.best, folder.checkpoint, folder.history, *([folder.confusion] if has_picture else [])]
    report.files(written, has_picture)


def _command(options: TrainOptions) -> str:
    """What goes on with a run; all that is left out is that run's."""
    tracking = ["--track", *(["--store", options.store] if options.store else [])] if options.track else []
    return shlex.join(["penstock", "train", str(options.directory), "--out", str(options.out), "--resume", *tracking])
