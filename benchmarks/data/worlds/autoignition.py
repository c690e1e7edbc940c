"""Whether the gas in the mixing tube of a reheat gas turbine ignites on its way.

Simulator: cantera (BSD-3-Clause), a reactor at constant pressure with the mechanism
GRI-Mech 3.0 that it ships. Ours: the draws, and what is mixed in which amounts.
Nobody observes the hottest streak of the inlet gas, the slowest stream tube, the true
fuel (the table has the values of the day), radicals of the first stage, and the errors
of instruments.
"""

from __future__ import annotations

import cantera
import numpy as np
import pandas as pd
from numpy.random import Generator

from benchmarks.data.worlds._draws import Row, choose, clip, yes

SEED = 71004
N_ROWS = 1800

FUELS = {
    "pipeline gas": 0.4,
    "LNG": 0.25,
    "biomethane blend": 0.15,
    "hydrogen blend": 0.2,
}
#: Temperature of the carrier air in K, and rise in K that counts as ignition.
CARRIER, RISE = 650, 250
#: What burns, with the moles of oxygen that a mole of it takes.
OXYGEN = {"CH4": 2.0, "C2H6": 3.5, "C3H8": 5.0, "H2": 0.5}


def make(rng: Generator) -> pd.DataFrame:
    """Make the table."""
    cantera.suppress_thermo_warnings()
    gas = cantera.Solution("gri30.yaml")
    return pd.DataFrame([_row(rng, gas) for _ in range(N_ROWS)])


def _row(rng: Generator, gas: cantera.Solution) -> Row:
    """Draw a test point, mix its gases, and see whether they ignite."""
    inlet = clip(rng.normal(1290, 55), 1100, 1450)
    bar = clip(rng.normal(16, 4), 7, 30)
    oxygen = clip(rng.normal(14.5, 1.4), 11, 18.5)
    water = (20.95 - oxygen) * 0.80 + rng.uniform(0.5, 2)
    steam = float(max(0, rng.normal(0, 2.5))) if rng.random() < 0.35 else 0.0
    fuel_type = choose(rng, FUELS)
    ethane, propane, hydrogen, inert = _composition(rng, fuel_type)
    phi = clip(rng.normal(0.55, 0.13), 0.2, 0.95)
    velocity = clip(rng.normal(110, 20), 55, 180)
    length = float(rng.choice([90, 110, 130]))
    fuel_temp = clip(rng.normal(320, 55), 280, 520)
    carrier = clip(rng.gamma(4, 0.3), 0, 4)

    streak = inlet + abs(rng.normal(0, 26))
    slowness = rng.lognormal(0.15, 0.28)
    error = rng.lognormal(0, 0.10, 3)
    local_phi = phi * rng.lognormal(0.05, 0.2)
    radicals = rng.lognormal(np.log(6e-7), 1.0)

    hot = {
        "O2": oxygen * (1 - steam / 100),
        "H2O": water * (1 - steam / 100) + steam,
        "CO2": (20.95 - oxygen) * 0.45,
    }
    hot["N2"] = 100 - sum(hot.values())
    fuel = {
        "CH4": 100 - ethane - propane - hydrogen - inert,
        "C2H6": ethane * error[0],
        "C3H8": propane * error[1],
        "H2": hydrogen * error[2],
        "N2": inert * 0.6,
        "CO2": inert * 0.4,
    }
    _mix(gas, bar * 1e5, (streak, hot), (fuel_temp, fuel), local_phi, carrier, radicals)
    hit = _ignites(gas, length / velocity * slowness * 1e-3)
    return {
        "unit": choose(rng, ("GT11", "GT12", "GT21", "GT22")),
        "inlet_temp": round(inlet + rng.normal(0, 9)),
        "pressure": round(bar * (1 + rng.normal(0, 0.01)), 1),
        "residual_o2": round(oxygen + rng.normal(0, 0.15), 1),
        "steam": round(steam, 1),
        "fuel_type": fuel_type,
        "ethane": round(ethane, 1),
        "propane": round(propane, 1),
        "hydrogen": round(hydrogen, 1),
        "inerts": round(inert, 1),
        "equivalence_ratio": round(phi * rng.lognormal(0, 0.03), 2),
        "gas_velocity": round(velocity + rng.normal(0, 4)),
        "tube_length": length,
        "fuel_temp": round(fuel_temp),
        "carrier_air": round(carrier, 2),
        "ambient_temp": round(rng.normal(14, 9), 1),
        "operating_hours": int(rng.uniform(200, 24000)),
        "ignites": yes(hit),
    }


def _composition(rng: Generator, fuel_type: str) -> tuple[float, float, float, float]:
    """Draw the mole % of ethane, propane, hydrogen and inert gases.

    All kinds are drawn, so that what follows does not hang on which it is.
    """
    gamma = rng.gamma
    of_kind = {
        "pipeline gas": (gamma(4, 1.0), gamma(2, 0.5), 0, gamma(3, 0.6)),
        "LNG": (gamma(8, 1.0), gamma(4, 0.55), 0, gamma(1, 0.15)),
        "biomethane blend": (gamma(2, 0.7), gamma(1, 0.3), 0, gamma(5, 0.8)),
        "hydrogen blend": (
            *(gamma(4, 0.9), gamma(2, 0.5)),
            *(rng.uniform(2, 40), gamma(3, 0.5)),
        ),
    }
    ethane, propane, hydrogen, inert = of_kind[fuel_type]
    return min(ethane, 18), min(propane, 8), hydrogen, min(inert, 14)


def _mix(
    gas: cantera.Solution,
    pressure: float,
    hot: tuple[float, dict[str, float]],
    fuel: tuple[float, dict[str, float]],
    phi: float,
    carrier: float,
    radicals: float,
) -> None:
    """Bring the gas to the state that hot gas, fuel and carrier air mix to."""
    parts, of_fuel = hot[1], sum(fuel[1].values())
    need = sum(moles * fuel[1][name] for name, moles in OXYGEN.items()) / of_fuel
    # Moles of fuel, and of carrier air, for a mole of hot gas.
    n_fuel = phi * parts["O2"] / 100 / need
    n_carrier = carrier * n_fuel
    x = {name: share / 100 for name, share in parts.items()}
    x["O2"] += 0.21 * n_carrier
    x["N2"] += 0.79 * n_carrier
    for name, share in fuel[1].items():
        x[name] = x.get(name, 0) + n_fuel * share / of_fuel
    x["OH"] = radicals
    air = (CARRIER, {"O2": 0.21, "N2": 0.79})
    amounts = ((hot, 1), (fuel, n_fuel), (air, n_carrier))
    mixed = None
    for (temperature, composition), moles in amounts:
        gas.TPX = temperature, pressure, composition
        new = cantera.Quantity(gas, moles=moles, constant="HP")
        mixed = new if mixed is None else mixed + new
    gas.TPX = mixed.T, pressure, x


def _ignites(gas: cantera.Solution, seconds: float) -> bool:
    """Tell whether the gas ignites within a time."""
    start = gas.T
    reactor = cantera.IdealGasConstPressureReactor(gas, clone=False)
    net = cantera.ReactorNet([reactor])
    while net.time < seconds:
        net.step()
        if reactor.T > start + RISE:
            return bool(net.time <= seconds)
    return False
