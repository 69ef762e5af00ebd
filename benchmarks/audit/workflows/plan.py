"""What a world is going to be like, drawn from the seed and its number: nothing here does anything."""

from random import Random
from typing import Final

from attrs import frozen

from benchmarks.audit.workflows.subjects import SUBJECTS, Subject

__all__ = ["Deed", "RunPlan", "WorldPlan", "plan_world"]

_TIMEOUTS: Final = {False: (5.0, 30.0, 60.0), True: (10.0, 60.0, 600.0)}
"""Seconds, by whether the API is slow."""


@frozen
class RunPlan:
    """One run of the workflow."""

    starts: float
    """Seconds after the beginning of the world, or after the end of the run before."""
    follows: bool
    """Whether it waits for the run before to end."""
    crashes: float | None
    """Seconds after its start; None: it does not."""
    timeout: float
    poll: float
    asks: bool
    resend_after: float | None
    by_name: bool
    is_limited: bool
    """Whether its client has a rate limiter that holds it up."""


@frozen
class Deed:
    """What somebody else does."""

    moment: float
    state: str
    """What it is then; the goal is asked for like anybody asks for it."""


@frozen
class WorldPlan:
    """One world."""

    seed: int
    number: int
    subject: Subject
    refuses_doubles: bool
    """Whether the server refuses a request in any state but the one it is for, or while it works on another."""
    lag: float
    """Seconds that a read may be behind."""
    work: float
    """Seconds from an acceptance to the effect."""
    work_is_lost: bool
    """Whether what was accepted never happens."""
    read_trouble: float
    """The share of reads that fail."""
    outage: tuple[float, float]
    """From when to when all reads fail."""
    begins: str
    """The state at the beginning."""
    runs: tuple[RunPlan, ...]
    deeds: tuple[Deed, ...]

    def dice(self, *name: object) -> Random:
        """Return the dice of this name, the same in every run with this seed."""
        return Random(":".join(map(str, (self.seed, self.number, *name))))


def plan_world(seed: int, number: int) -> WorldPlan:
    """Return world `number` (from 1): all workflows in turn, with either kind of server; the rest at random."""
    rng = Random(f"{seed}:{number}:world")
    subject = SUBJECTS[number // 2 % len(SUBJECTS)]
    refuses_doubles = number % 2 == 0
    outage = rng.uniform(0, 60) if rng.random() < 0.25 else 1e9
    return WorldPlan(
        seed,
        number,
        subject,
        refuses_doubles,
        lag=rng.choice((0.0, 0.0, 2.0, 20.0)),
        work=rng.choice((0.0, rng.uniform(0, 30), rng.uniform(0, 400))) if subject.is_slow else 0.0,
        work_is_lost=subject.is_slow and rng.random() < 0.1,
        read_trouble=rng.choice((0.0, 0.0, 0.1, 0.4)),
        outage=(outage, outage + rng.uniform(0, 300)),
        begins=rng.choice((*[subject.before] * 7, subject.goal, *(subject.others[:1] or (subject.before,)))),
        runs=tuple(_plan_run(rng, subject, first=index == 0, risk=refuses_doubles) for index in range(_runs(rng))),
        deeds=tuple(_plan_deed(rng, subject) for _ in range(rng.choice((0, 0, 1, 2)))),
    )


def _runs(rng: Random) -> int:
    return rng.choice((1, 2, 2, 3))


def _plan_run(rng: Random, subject: Subject, *, first: bool, risk: bool) -> RunPlan:
    # Where doubles are not refused, who has a request sent again may have it done twice.
    resends = risk and not subject.is_creation and rng.random() < 0.25
    return RunPlan(
        starts=rng.uniform(0, 0.1 if first else 30),
        follows=not first and rng.random() < 0.5,
        crashes=10 ** rng.uniform(-2, 2) if rng.random() < 0.3 else None,
        timeout=rng.choice(_TIMEOUTS[subject.is_slow]),
        poll=rng.choice((1.0, 5.0)),
        asks=first or rng.random() < 0.7,
        resend_after=rng.choice((1.0, 5.0, 60.0)) if resends else None,
        by_name=rng.random() < 0.5,
        is_limited=rng.random() < 0.1,
    )


def _plan_deed(rng: Random, subject: Subject) -> Deed:
    state = rng.choice((subject.goal, subject.goal, subject.before, *subject.others))
    return Deed(10 ** rng.uniform(-1, 2), state)
