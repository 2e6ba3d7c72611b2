"""What `penstock plan` says on the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from penstock.cli._plan_figures import in_bits, in_bytes, in_time, percent, three, whole
from penstock.cli._terminal import TerminalReport, counted, printable
from penstock.planning._plan import SENDS, Plan, request_core_s
from penstock.planning._rates import Rates

_BUSY = 0.05  # of the time, that who is called busy may wait
_MANY_TIMES = 10
_LONG_S = 10
_LIMITS = {
    "cores": "cores",
    "workers": "workers, each of which waits for its requests: more --requests-per-worker",
    "queue": "the queues: a longer --queue",
    "network in": "the network that images come by",
    "network out": "the network that batches go by: --send uint8, or make batches beside the accelerators",
}


class PlanReport(TerminalReport):
    """Prints a plan.

    Args:
        console: where to.
        is_silent: no spinners: what is printed is for programs.
    """

    def __init__(self, console: Console, *, is_silent: bool = False) -> None:
        super().__init__(Console(stderr=True) if is_silent else console)
        self._out = console

    def result(self, plan: Plan, rates: Rates, price_per_million: float | None) -> None:
        """As tables and a sentence."""
        job, site = plan.job, plan.site
        step = f"{1000 * job.step_s:g} ms" if job.step_s < _LONG_S else in_time(job.step_s)
        self._tell(
            f"{counted(job.gpus, 'accelerator')} that take{'s' if job.gpus == 1 else ''} {step} for "
            f"{counted(job.batch_size, 'image')} each: {three(job.images_per_s)} images/s"
        )
        self._tell(
            f"{counted(job.images, 'image')} of {three(job.image_px / 1e6)} megapixels and "
            f"{three(job.image_bytes / 1e3)} kB, to {three(job.target_px)} pixels; "
            f"{1000 * site.latency_s:g} ms for a request"
        )
        self._tell(self._rates_line(plan, rates))
        table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
        table.add_column("what", no_wrap=True)
        table.add_column("how much", justify="right", no_wrap=True)
        table.add_column("remark")
        for line in _lines(plan, rates, price_per_million):
            table.add_row(*line)
        self._out.print(table)
        self._tell(_verdict(plan))

    def json(
        self, plan: Plan, rates: Rates, curve: Sequence[tuple[int, float, float]], price_per_million: float | None
    ) -> None:
        """The same for programs: SI units, shares from 0 to 1."""
        whole = asdict(plan) | {
            "memory_per_node_bytes": plan.memory_per_node_bytes,
            "requests_per_day": plan.requests_per_day,
            "price": None if price_per_million is None else plan.price(price_per_million),
            "bounds_batches_per_s": {
                name: value if math.isfinite(value) else None for name, value in plan.pipeline.bounds().items()
            },
            "rates": json.loads(rates.to_json()),
            "waiting_by_cores": [
                {"cores": cores, "waiting_share": simulated, "least_waiting_share": least}
                for cores, simulated, least in curve
            ],
        }
        self._out.print_json(json.dumps(whole), highlight=False)

    def wrote(self, path: Path) -> None:
        """A file; beside what is for programs, where that is wanted."""
        self._say(printable(f"Wrote {path}", self._console.encoding))

    def _rates_line(self, plan: Plan, rates: Rates) -> str:
        request_s = request_core_s(plan.site, rates)
        is_ours = plan.site.request_cpu_s is None
        how = f" by {rates.requests}" if is_ours else ", as was given"
        asked = f", {1000 * request_s:.3g} ms of them for its request{how}," if request_s else ""
        return (
            f"An image takes {1000 * plan.image_core_s:.3g} ms of a core{asked} by what {rates.images} took on "
            f"{counted(rates.cores, 'core')} of {rates.cpu}, {rates.date[:10]} (fit off by {rates.residual:.0%}, where "
            f"it was not measured by {rates.error:.0%})"
        )

    def _tell(self, text: str) -> None:
        self._out.print(printable(text, self._out.encoding), soft_wrap=True)


def _lines(plan: Plan, rates: Rates, price_per_million: float | None) -> Iterator[tuple[str, str, str]]:
    """What, how much, and a remark."""
    job, site = plan.job, plan.site
    low, high = (plan.cores * (1 + sign * rates.error) for sign in (-1, 1))
    yield "cores", f"{plan.cores:,}", f"{plan.core_use:.0%} busy; {three(low)} to {three(high)} by the rates' error"
    yield "nodes", f"{plan.nodes:,}", f"of {counted(site.cores_per_node, 'core')}"
    yield (
        "accelerators wait",
        percent(plan.waiting_share),
        f"of the time; at most {100 * job.waiting:g} % was asked for",
    )
    yield "workers for each", f"{plan.workers_per_gpu:,}", "batches that are read or made at a time"
    queue = f"batches of {in_bytes(plan.batch_bytes)}: {in_bytes(plan.queue_bytes)} at most, beside the accelerator"
    yield "queue of each", f"{plan.depth:,}", queue
    yield (
        "memory a node",
        in_bytes(plan.memory_per_node_bytes),
        f"at most; in all {in_bytes(plan.making_bytes)} of batches and {in_bytes(plan.compressed_bytes)} of files",
    )
    yield from _network(plan)
    if site.latency_s:
        yield "requests", f"{three(plan.requests_per_s)} /s", f"{three(plan.requests_per_day)} a day"
        each = three(plan.requests_in_flight / job.gpus)
        yield "requests in flight", three(plan.requests_in_flight), f"at least; {each} for each accelerator"
    yield "an epoch", in_time(plan.epoch_s), counted(job.steps, "step")
    yield counted(job.epochs, "epoch"), in_time(plan.total_s), f"{whole(plan.requests_total)} images read"
    if price_per_million is not None:
        price = plan.price(price_per_million)
        yield "requests cost", f"{price:,.2f}", f"in all, at {price_per_million:g} for a million"
    yield (
        "a cache takes",
        in_bytes(plan.cached.nbytes),
        f"and from the second epoch on {counted(plan.cached.cores, 'core')} will do, without a request",
    )


def _network(plan: Plan) -> Iterator[tuple[str, str, str]]:
    received, sent, send = plan.receive_bytes_per_s, plan.send_bytes_per_s, plan.site.send
    yield "network in", in_bits(received), f"{in_bits(received / plan.nodes)} a node"
    if not sent:
        yield "network out", "none", "batches are made beside the accelerators"
        return
    other = "uint8" if send == "float32" else "float32"
    otherwise = in_bits(sent * SENDS[other] / SENDS[send])
    yield "network out", in_bits(sent), f"{in_bits(sent / plan.nodes)} a node, of {send}; {otherwise} of {other}"


def _verdict(plan: Plan) -> str:
    what, wait = _LIMITS[plan.limit], percent(plan.waiting_share)
    if plan.waiting_share > plan.job.waiting:
        return f"Accelerators wait {wait} of the time. What limits: {what}."
    if plan.waiting_share > _BUSY:
        return f"Accelerators wait {wait} of the time, which --waiting allows. What limits: {what}."
    times = plan.head_room
    room = f"{times:.0%} of" if times < _MANY_TIMES else f"{three(times)} times"
    return (
        f"Accelerators are kept busy. What would be short first: {what}. It can give {room} what accelerators take "
        "that never wait."
    )
