"""Whether a patient of an urgent-care centre waits for more than half an hour.

Simulator: ciw (MIT), discrete events in a network of queues with priorities, a roster,
patients who leave and a loop through X-ray. A day is simulated for each row, and one of
its patients drawn. Ours: arrivals over the day, the roster, the time that a case takes.
Nobody observes the day's true demand and pace, how long the cases in treatment will
take, who will leave, and who in the room came along with a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import ciw
import numpy as np
import pandas as pd
from numpy.random import Generator

from benchmarks.data.worlds._draws import Row, choose, yes

SEED = 71006
N_ROWS = 3000

#: Hours of the day, and hours from the opening at which shifts end.
OPEN, CLOSE, SHIFTS = 8.0, 22.0, (5, 9, 14)
#: Patients per hour, and the share of days.
SIZES = {"small": 0.35, "medium": 0.4, "large": 0.25}
PER_HOUR = {"small": 5.2, "medium": 8.0, "large": 12.5}
DAYS = {
    "Mon": 1.22,
    "Tue": 1.02,
    "Wed": 0.97,
    "Thu": 0.96,
    "Fri": 0.98,
    "Sat": 1.08,
    "Sun": 1.05,
}
SEASONS = {"winter": 1.16, "spring": 1.0, "summer": 0.92, "autumn": 1.02}
#: By class of patient: its share, how long it takes, how often it needs an X-ray, and
#: how likely each complaint is.
TRIAGE = ("urgent", "standard", "minor")
MIX, TAKES, X_RAY = np.array([0.10, 0.50, 0.40]), (1.5, 1.05, 0.7), (0.25, 0.22, 0.12)
COMPLAINTS = ("injury", "infection or fever", "pain", "breathing", "other")
COMPLAINS = (
    (0.15, 0.2, 0.25, 0.3, 0.1),
    (0.3, 0.3, 0.2, 0.1, 0.1),
    (0.35, 0.3, 0.1, 0.02, 0.23),
)
CAME_BY = {"car": 0.6, "public transport": 0.17, "on foot": 0.15, "taxi": 0.08}


class Arrivals(ciw.dists.Distribution):
    """Times between arrivals at a rate that changes over the day.

    ciw copies what it is given, but for functions: all draws have to come from one
    stream, so there is a function that draws in the place of what it draws from.
    """

    def __init__(self, wait: Callable[[float], float]) -> None:
        self.wait = wait

    def sample(self, t: float, ind: Any = None) -> float:
        """Draw the hours from now to the next arrival."""
        return self.wait(t)


def make(rng: Generator) -> pd.DataFrame:
    """Make the table."""
    return pd.DataFrame(islice(_rows(rng), N_ROWS))


def _rows(rng: Generator) -> Iterator[Row]:
    """Simulate days, and draw a patient of each."""
    while True:
        day, season = choose(rng, [*DAYS]), choose(rng, [*SEASONS])
        size = choose(rng, SIZES)
        usual = PER_HOUR[size]
        level = usual * DAYS[day] * SEASONS[season] * rng.lognormal(0, 0.15)
        pace = rng.lognormal(0, 0.24)
        need = usual * 1.08 * 0.30
        staff = [
            max(1, round(need * share + rng.normal(0.15, 0.45)))
            for share in (1.05, 0.95, 1.15)
        ]
        is_absent = rng.random() < 0.15
        if is_absent:
            shift = int(rng.integers(3))
            staff[shift] = max(1, staff[shift] - 1)
        visits = Visits(_records(rng, size, level, 0.30 * pace, staff))
        seen = visits.seen()
        if len(seen) < 5:
            continue
        patient = int(rng.choice(seen))
        what = {"centre": size, "weekday": day, "season": season}
        yield what | visits.describe(rng, patient, staff, is_absent)


def _records(
    rng: Generator, size: str, level: float, hours: float, staff: list[int]
) -> list[Any]:
    """Simulate a day, and list what happened at the clinicians."""

    def rate(t: float) -> float:
        return level * _shape(OPEN + t) if OPEN + t < CLOSE - 0.5 else 0.0

    def arrivals(share: float) -> Arrivals:
        top = share * level * 1.55

        def wait(t: float) -> float:
            # Drawn at the highest rate, and thinned to the rate of the hour.
            at = t
            while True:
                at += rng.exponential(1 / top)
                if rng.random() < share * rate(at) / top or at > 40:
                    return at - t

        return Arrivals(wait)

    x_ray = ciw.dists.Gamma(3, 0.22 / 3)
    roster = ciw.Schedule(
        numbers_of_servers=[*staff, staff[2]],
        shift_end_dates=[*SHIFTS, 26],
        preemption=False,
    )
    classes = [f"C{number}" for number in range(len(TRIAGE))]

    def of_class(values: Any) -> dict[str, Any]:
        return dict(zip(classes, values, strict=True))

    network = ciw.create_network(
        arrival_distributions=of_class([arrivals(share), None] for share in MIX),
        service_distributions=of_class(
            [ciw.dists.Gamma(1.4, hours * takes / 1.4), x_ray] for takes in TAKES
        ),
        number_of_servers=[roster, 2 if size == "large" else 1],
        routing=of_class([[0.0, share], [0.0, 0.0]] for share in X_RAY),
        priority_classes=of_class((0, 1, 1 if size == "small" else 2)),
        reneging_time_distributions=of_class(
            [None if urgent else ciw.dists.Exponential(1 / 4.5), None]
            for urgent in (True, False, False)
        ),
    )
    ciw.seed(int(rng.integers(2**31)))
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(20)
    return [record for record in simulation.get_all_records() if record.node == 1]


def _shape(hour: float) -> float:
    """Give the rate of arrivals over the day: peaks before noon and after work."""
    morning = 0.75 * np.exp(-(((hour - 10.5) / 1.8) ** 2))
    evening = 0.65 * np.exp(-(((hour - 18) / 2.2) ** 2))
    return 0.55 + morning + evening


class Visits:
    """The patients of a day: when they came, were called or left, in hours."""

    def __init__(self, records: list[Any]) -> None:
        left = [record.record_type == "renege" for record in records]
        self.came = np.array([record.arrival_date for record in records])
        self.triage = np.array(
            [int(record.original_customer_class[1]) for record in records]
        )
        self.left = np.array(left)
        self.called = np.array(
            [
                record.exit_date if gone else record.service_start_date
                for record, gone in zip(records, left, strict=True)
            ]
        )
        self.end = np.array([record.exit_date for record in records])

    def seen(self) -> np.ndarray:
        """List the patients who were seen, but for those of the first and last hour."""
        return np.where((self.came > 0.5) & (self.came < 12.5) & ~self.left)[0]

    def describe(
        self, rng: Generator, patient: int, staff: list[int], is_absent: bool
    ) -> Row:
        """Tell what the desk knows when a patient comes, and how it went on."""
        now, triage = self.came[patient], self.triage[patient]
        waits = 60 * (self.called[patient] - now)
        waiting = (self.came < now) & (self.called > now)
        treated = (self.called <= now) & (self.end > now) & ~self.left
        lately = (self.called > now - 1) & (self.called <= now) & ~self.left
        recent = 60 * (self.called - self.came)[lately].mean() if lately.any() else 0.0
        shift = 0 if now < SHIFTS[0] else 1 if now < SHIFTS[1] else 2
        n_waiting = int(waiting.sum())
        likely = dict(zip(COMPLAINTS, COMPLAINS[triage], strict=True))
        return {
            "arrival_hour": round(OPEN + now, 2),
            "triage": TRIAGE[triage],
            "complaint": choose(rng, likely),
            "age": int(np.clip(rng.gamma(2.2, 18), 0, 96)),
            "arrived_by": choose(rng, CAME_BY),
            "registered_online": yes(rng.random() < 0.3),
            "people_in_room": int(
                n_waiting + rng.binomial(n_waiting, 0.55) + rng.poisson(0.6)
            ),
            "waiting_urgent": int((waiting & (self.triage == 0)).sum()),
            "in_treatment": int(treated.sum()),
            "clinicians": staff[shift],
            "minutes_to_shift_change": round(60 * (SHIFTS[shift] - now)),
            "clinicians_next_shift": staff[min(2, shift + 1)],
            "arrivals_last_hour": int(
                ((self.came > now - 1) & (self.came < now)).sum()
            ),
            "recent_wait": round(recent),
            "staff_absent": yes(is_absent),
            "over_30_min": yes(waits > 30),
        }
