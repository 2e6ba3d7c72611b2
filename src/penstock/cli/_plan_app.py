"""`penstock plan`: its options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli._app import app
from penstock.cli._endings import CANNOT_PLAN, plain_endings
from penstock.cli._options import ends_in, one_of
from penstock.cli._plan_units import not_negative, parse_count, parse_size, positive

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_LARGEST = 1_000_000_000
_SENDS = ("float32", "uint8", "nothing")


def _checked(check: Callable[[Any], Any], most: int | None = None) -> Callable[[Any], Any]:
    """A callback of Typer's that says why a value will not do; its own bounds would be looked at before."""

    def checked(value: Any) -> Any:
        try:
            if value is not None:
                check(value)
                if most is not None and value > most:
                    raise ValueError(f"should be less than or equal to {most}. Received: {value:g}")
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        return value

    return checked


@app.command()
def plan(
    step_ms: Annotated[
        float,
        typer.Option(callback=_checked(positive, _DAY_MS), help="What an accelerator takes for a batch, milliseconds."),
    ],
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Some of the images: they tell --image-size, --image-kb and, unless it is given, --images.",
        ),
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, max=100_000, help="Accelerators that train in step.")] = 1,
    images: Annotated[
        str | None,
        typer.Option(metavar="N", callback=_checked(parse_count), help="In an epoch: 14000000, 14e6 or 14M."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=1_000_000, help="Images in an accelerator's batch.")] = 256,
    epochs: Annotated[int, typer.Option(min=1, max=1_000_000, help="That training takes.")] = 90,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            callback=_checked(parse_size),
            help="Pixels of an image as it is stored. Left out: DIR's, or 500x375.",
        ),
    ] = None,
    image_kb: Annotated[
        float | None,
        typer.Option(
            callback=_checked(positive, _LARGEST),
            help="Size of its file, thousands of bytes. Left out: DIR's, or 110.",
        ),
    ] = None,
    target_size: Annotated[
        str, typer.Option(metavar="WxH", callback=_checked(parse_size), help="Pixels of an image in a batch.")
    ] = "224",
    latency_ms: Annotated[
        float,
        typer.Option(
            callback=_checked(not_negative, _HOUR_MS), help="From a request to its answer; 0 for files on a disk."
        ),
    ] = 20,
    requests_per_worker: Annotated[
        int, typer.Option(min=1, max=100_000, help="That a worker has in flight at a time.")
    ] = 16,
    request_cpu_ms: Annotated[
        float | None,
        typer.Option(
            callback=_checked(not_negative, _HOUR_MS),
            help="Of a core for each request: the client's own work. Left out: what the rates say.",
        ),
    ] = None,
    cores_per_node: Annotated[int, typer.Option(min=1, max=10_000, help="Of a machine that makes batches.")] = 32,
    cores: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Say what so many bring, instead of how many it takes.")
    ] = None,
    nic_gbit: Annotated[
        float | None,
        typer.Option(
            callback=_checked(positive, _LARGEST),
            help="Network of such a machine, Gbit/s each way. Left out: no bound.",
        ),
    ] = None,
    send: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            callback=one_of(*_SENDS),
            help="What goes from there to the accelerators: batches of float32 or of uint8, or nothing, where they are "
            "made beside them.",
        ),
    ] = "float32",
    queue: Annotated[
        int, typer.Option(min=1, max=10_000, help="Batches under way or ready ahead of each, at least.")
    ] = 10,
    waiting: Annotated[
        float, typer.Option(min=0.01, max=99, metavar="PERCENT", help="Of their time that accelerators may wait.")
    ] = 1,
    price_per_million_requests: Annotated[
        float | None,
        typer.Option(callback=_checked(not_negative, _LARGEST), help="In any money; their cost is said then."),
    ] = None,
    rates: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="What an image costs a core, as --save-rates wrote it. Left out: figures that come with penstock.",
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure that here, on images of DIR, or else on crops of photographs.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="For --measure.")] = 8,
    save_rates: Annotated[
        Path | None, typer.Option(metavar="FILE.json", callback=ends_in(".json"), help="Write what --measure measured.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", callback=ends_in(".png"), help="Draw how long accelerators wait, over cores."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed, the same plan.")] = 0,
) -> None:
    """Work out what feeds many accelerators: cores, memory, network and requests to the object store.

    The smallest number of cores with which they wait no longer than --waiting, in a simulation of what was measured on
    one machine. Exits with 0, with 2 for bad input or where no number of cores would do.
    """
    with plain_endings(failed=CANNOT_PLAN):
        from penstock.cli._plan import PlanOptions, run_plan
        from penstock.cli._plan_report import PlanReport
        from penstock.cli._terminal import wide_console
        from penstock.planning._plan import Site

        width, height = parse_size(target_size)
        options = PlanOptions(
            directory=directory,
            images=None if images is None else parse_count(images),
            epochs=epochs,
            gpus=gpus,
            step_s=step_ms / 1000,
            batch_size=batch_size,
            image_size=None if image_size is None else parse_size(image_size),
            image_bytes=None if image_kb is None else 1000 * image_kb,
            target_size=(height, width),
            waiting=waiting / 100,
            site=Site(
                cores_per_node=cores_per_node,
                cores=cores,
                nic_bytes_per_s=None if nic_gbit is None else nic_gbit * 1e9 / 8,
                latency_s=latency_ms / 1000,
                requests_per_worker=requests_per_worker,
                request_cpu_s=None if request_cpu_ms is None else request_cpu_ms / 1000,
                send=send,
                queue=queue,
            ),
            price_per_million_requests=price_per_million_requests,
            rates=rates,
            measure=measure,
            seconds=seconds,
            save_rates=save_rates,
            plot=plot,
            as_json=as_json,
            seed=seed,
        )
        run_plan(options, PlanReport(wide_console(), is_silent=as_json))
