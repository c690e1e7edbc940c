"""Whether the voltage of a low-voltage feeder leaves its band in a quarter hour.

Simulator: pandapower (BSD-3-Clause), AC power flow by Newton-Raphson with its standard
types of lines and transformers. Ours: the draws, profiles of households, chargers, heat
pumps and the sun, and a factor for loads on one phase. Nobody observes where on the
feeder a plant, charger or pump sits, the momentary loads, the imbalance of the phases,
the true length of the cable, and the true voltage of the grid above.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import pandapower as pp
import pandas as pd
from numpy.random import Generator

from benchmarks.data.worlds._draws import Row, choose, clip, yes

SEED = 71005
N_ROWS = 2500

LINES = {
    "overhead line 4x48 Al": "48-AL1/8-ST1A 0.4",
    "cable 4x50 Al": "NAYY 4x50 SE",
    "cable 4x120 Al": "NAYY 4x120 SE",
    "cable 4x150 Al": "NAYY 4x150 SE",
}
TRANSFORMERS = (160, 250, 400, 630)
#: The library has the smallest with an on-load control only: it is given in numbers.
SMALLEST = {
    "sn_mva": 0.16,
    "vn_hv_kv": 20,
    "vn_lv_kv": 0.4,
    "vkr_percent": 1.47,
    "vk_percent": 4,
    "pfe_kw": 0.46,
    "i0_percent": 0.29,
    "shift_degree": 150,
    "tap_side": "hv",
    "tap_neutral": 0,
    "tap_min": -2,
    "tap_max": 2,
    "tap_step_percent": 2.5,
    "tap_pos": 0,
    "tap_changer_type": "Ratio",
}
AREAS = {"rural": 0.3, "village": 0.4, "suburb": 0.3}
#: By area: shares of transformers and of lines, median length in m, mean households.
TRANSFORMERS_OF = {
    "rural": (0.45, 0.4, 0.13, 0.02),
    "village": (0.12, 0.4, 0.38, 0.10),
    "suburb": (0.0, 0.1, 0.5, 0.4),
}
LINES_OF = {
    "rural": (0.4, 0.2, 0.15, 0.25),
    "village": (0.15, 0.2, 0.25, 0.4),
    "suburb": (0.02, 0.1, 0.3, 0.58),
}
LENGTH = {"rural": 560, "village": 430, "suburb": 330}
HOUSES = {"rural": 12, "village": 20, "suburb": 32}
CONTROLS = {"unity": 0.5, "fixed 0.95": 0.3, "fixed 0.98": 0.2}
#: Reactive over active power of plants, by their control.
REACTIVE = {"unity": 0.0, "fixed 0.95": 0.329, "fixed 0.98": 0.203}
#: Connection points along a feeder, and the band in per unit.
POINTS, BAND = 10, (0.94, 1.06)


def make(rng: Generator) -> pd.DataFrame:
    """Make the table."""
    logging.getLogger("pandapower").setLevel(logging.CRITICAL)
    return pd.DataFrame([_row(rng) for _ in range(N_ROWS)])


@dataclass
class Feeder:
    """A feeder in a quarter hour, as the grid operator knows it."""

    houses: int
    hour: int
    temperature: float
    irradiance: float
    n_pv: int
    kwp: float
    n_ev: int
    n_hp: int
    battery: float


def _row(rng: Generator) -> Row:
    """Draw a feeder and a quarter hour, and run its power flow."""
    area = choose(rng, AREAS)
    kva = int(rng.choice(TRANSFORMERS, p=TRANSFORMERS_OF[area]))
    line = choose(rng, dict(zip(LINES, LINES_OF[area], strict=True)))
    length = clip(rng.lognormal(np.log(LENGTH[area]), 0.4), 120, 1500)
    houses = int(np.clip(rng.poisson(HOUSES[area]), 3, 60))
    month, hour = int(rng.integers(1, 13)), int(rng.integers(6, 23))
    temperature, irradiance = _weather(rng, month, hour)
    n_pv = int(rng.binomial(houses, rng.beta(2.2, 2.0)))
    size = np.log(8.5 if area != "rural" else 12)
    kwp = float(sum(np.clip(rng.lognormal(size, 0.5, n_pv), 2, 40)))
    n_ev = int(rng.binomial(houses, rng.beta(2, 3.2)))
    n_hp = int(rng.binomial(houses, rng.beta(2, 2.8)))
    battery = clip(rng.beta(1.2, 2.5), 0, 1) if n_pv else 0.0
    tap = int(rng.choice([-1, 0, 1], p=[0.1, 0.7, 0.2]))
    control = choose(rng, CONTROLS) if n_pv else "unity"

    voltage = float(rng.normal(1.015, 0.012))
    true_length = length * rng.lognormal(0, 0.1)
    feeder = Feeder(
        *(houses, hour, temperature, irradiance), n_pv, kwp, n_ev, n_hp, battery
    )
    active, reactive, made = _powers(rng, feeder)
    imbalance = rng.lognormal(np.log(1.35), 0.15)
    # What the other feeders of the station take and make, relative to this one.
    other = rng.uniform(0.5, 2.5)

    net = _net(line, kva)
    parts = np.diff(np.r_[0, np.arange(1, POINTS + 1) / POINTS]) * true_length / 1000
    net.ext_grid["vm_pu"] = voltage
    net.trafo["tap_pos"] = tap
    net.line["length_km"] = parts
    all_active, all_made = active.sum() * other, made.sum() * other
    net.load["p_mw"] = np.r_[active * imbalance, all_active] / 1000
    net.load["q_mvar"] = np.r_[reactive * imbalance, all_active * 0.15] / 1000
    net.sgen["p_mw"] = np.r_[made * imbalance, all_made] / 1000
    net.sgen["q_mvar"] = -net.sgen["p_mw"] * REACTIVE[control]
    return {
        "area": area,
        "transformer_kva": kva,
        "tap": tap,
        "line_type": line,
        "feeder_length": round(length / 10) * 10,
        "households": houses,
        "pv_plants": n_pv,
        "pv_kwp": round(kwp, 1),
        "pv_control": control,
        "battery_share": round(battery, 2),
        "ev_chargers": n_ev,
        "heat_pumps": n_hp,
        "month": month,
        "hour": hour,
        "irradiance": round(irradiance * rng.lognormal(0, 0.06)),
        "temperature": round(temperature + rng.normal(0, 1), 1),
        "mv_voltage": round(voltage + rng.normal(0, 0.006), 3),
        "meter_rollout": round(float(rng.beta(2, 3)), 2),
        "station_year": int(rng.integers(1968, 2022)),
        "violation": yes(_is_outside(net)),
    }


def _weather(rng: Generator, month: int, hour: int) -> tuple[float, float]:
    """Draw the temperature in °C and the irradiance in W/m²."""
    # From -1 in winter to 1 in summer.
    season = -np.cos((month + 0.5) / 12 * 2 * np.pi)
    by_day = 3 * np.sin((hour - 9) / 24 * 2 * np.pi)
    temperature = float(10 + 9 * season + by_day + rng.normal(0, 4))
    day = 12 + 4 * season
    is_day = abs(hour + 0.5 - 12.5) < day / 2
    height = np.sin(np.pi * (hour + 0.5 - (12.5 - day / 2)) / day) if is_day else 0
    skies = [1, rng.beta(2, 2), rng.beta(1.5, 5)]
    sky = rng.choice(skies, p=[0.4, 0.3, 0.3])
    return temperature, float(max(0, height * (720 + 250 * season) * sky))


def _powers(rng: Generator, f: Feeder) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw what is taken, reactive and made at the connection points, in kW."""
    hour = f.hour
    household = (
        0.25
        + 0.25 * np.exp(-(((hour - 7.5) / 1.5) ** 2))
        + 0.75 * np.exp(-(((hour - 19) / 2.4) ** 2))
        + 0.2 * np.exp(-(((hour - 12.5) / 2) ** 2))
    )
    weights = rng.dirichlet(np.full(POINTS, 5.0))

    def where(n: int) -> np.ndarray:
        return rng.choice(POINTS, n, p=weights)

    houses, cars, pumps, made = np.zeros((4, POINTS))
    places = where(f.houses)
    np.add.at(houses, places, rng.gamma(1.3, household / 1.3 * 0.9, f.houses))
    charge = 0.03 + 0.22 * np.exp(-(((hour - 20) / 3) ** 2)) + 0.06 * (hour < 5)
    on = rng.binomial(f.n_ev, np.clip(charge, 0, 1))
    places = where(on)
    np.add.at(cars, places, rng.choice([3.7, 11.0, 22.0], on, p=[0.15, 0.77, 0.08]))
    on = rng.binomial(f.n_hp, np.clip((17 - f.temperature) / 30, 0, 0.95))
    places = where(on)
    np.add.at(pumps, places, rng.normal(2.8, 0.6, on))
    if f.n_pv:
        places = where(f.n_pv)
        yields = np.clip(rng.normal(0.86, 0.10, f.n_pv), 0.3, 1)
        np.add.at(made, places, f.kwp / f.n_pv * f.irradiance / 1000 * yields)
    if f.battery:
        stores = 0.45 if hour < 12 else 0.2
        made *= 1 - f.battery * stores * rng.uniform(0.3, 1)
    return houses + cars + pumps, houses * 0.15 + pumps * 0.3, made


def _is_outside(net: pp.pandapowerNet) -> bool:
    """Tell whether the voltage leaves the band, or there is no solution at all."""
    try:
        pp.runpp(net, numba=True, calculate_voltage_angles=False)
    except pp.LoadflowNotConverged:
        return True
    voltage = net.res_bus.vm_pu.to_numpy()[1:]
    return bool(voltage.max() > BAND[1] or voltage.min() < BAND[0])


@cache
def _net(line: str, kva: int) -> pp.pandapowerNet:
    """Build a station with a feeder, and a load for its other feeders."""
    net = pp.create_empty_network()
    grid = pp.create_bus(net, 20.0)
    buses = [pp.create_bus(net, 0.4) for _ in range(POINTS + 1)]
    pp.create_ext_grid(net, grid)
    if kva == TRANSFORMERS[0]:
        pp.create_transformer_from_parameters(net, grid, buses[0], **SMALLEST)
    else:
        pp.create_transformer(net, grid, buses[0], f"{kva / 1000:g} MVA 20/0.4 kV")
    for one, next_one in pairwise(buses):
        pp.create_line(net, one, next_one, 0.1, LINES[line])
    for bus in (*buses[1:], buses[0]):
        pp.create_load(net, bus, 0.0, 0.0)
        pp.create_sgen(net, bus, 0.0, 0.0)
    return net
