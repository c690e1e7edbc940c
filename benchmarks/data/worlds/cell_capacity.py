"""How much charge a lithium-ion pilot cell gives in one fast discharge.

Simulator: pybamm (BSD-3-Clause), the Doyle-Fuller-Newman model with a lumped heat
balance, parameters OKane2022 (NMC811 against graphite with silicon). Ours: the draws,
the porosity by calendering, the diffusivity by powder, the heat transfer by cooling.
Nobody observes the tortuosity of pores, diffusivities in the solids, reaction rates,
contact resistance, heat transfer, and the exact coating. About 2 cells in 100, at which
the solver gives up, are left out: at which ones hangs on the last digit, so that the
same bits take the same kernels of OpenBLAS (see the README beside).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pandas as pd
from numpy.random import Generator

from benchmarks.data.worlds._draws import Row, choose, clip, number

# Read when pybamm is imported: it is not to report its use.
os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"

import pybamm

SEED = 71009
N_ROWS = 2000

SIDES = ("Positive", "Negative")
#: The parameters that each cell has its own values of, in the order of `_cell`.
INPUTS = (
    *("Positive electrode thickness [m]", "Negative electrode thickness [m]"),
    *("Separator thickness [m]",),
    *("Positive particle radius [m]", "Negative particle radius [m]"),
    *(f"{side} electrode active material volume fraction" for side in SIDES),
    *(f"{side} electrode porosity" for side in SIDES),
    *(f"{side} electrode Bruggeman coefficient (electrolyte)" for side in SIDES),
    *("Initial concentration in electrolyte [mol.m-3]", "Current function [A]"),
    *("Ambient temperature [K]", "Initial temperature [K]"),
    *("Contact resistance [Ohm]", "Total heat transfer coefficient [W.m-2.K-1]"),
)
CUTOFF, CHARGE = "Lower voltage cut-off [V]", "Discharge capacity [A.h]"
#: Factors on functions of the parameter set, by the name of the input.
FACTORS = {
    "kdp": "Positive particle diffusivity [m2.s-1]",
    "kdn": "Negative particle diffusivity [m2.s-1]",
    "kjp": "Positive electrode exchange-current density [A.m-2]",
    "kjn": "Negative electrode exchange-current density [A.m-2]",
}
POROSITY = {"light": 0.40, "normal": 0.33, "heavy": 0.26}
HEAT_TRANSFER = {"still air": 10, "forced air": 30, "cold plate": 120}
SECONDS = 3600 * 6


def make(rng: Generator) -> pd.DataFrame:
    """Make the table."""
    pybamm.set_logging_level("CRITICAL")
    base = dict(pybamm.ParameterValues("OKane2022").items())
    return pd.DataFrame(islice(_rows(rng, base, _simulation()), N_ROWS))


def _simulation() -> pybamm.Simulation:
    """Set the model up once; a cell is a set of inputs."""
    model = pybamm.lithium_ion.DFN({"thermal": "lumped", "contact resistance": "true"})
    values = pybamm.ParameterValues("OKane2022")
    values.update({name: _times(values[name], key) for key, name in FACTORS.items()})
    values.update(dict.fromkeys(INPUTS, "[input]"), check_already_exists=False)
    values[CUTOFF] = "[input]"
    meshes = model.default_submesh_types.copy()
    for part in ("negative electrode", "separator", "positive electrode"):
        meshes[part] = pybamm.MeshGenerator(pybamm.SymbolicUniform1DSubMesh)
    for part in ("negative particle", "positive particle"):
        meshes[part] = pybamm.MeshGenerator(pybamm.SymbolicUniform1DSubMesh)
    solver = pybamm.IDAKLUSolver(rtol=1e-3, atol=1e-4, output_variables=[CHARGE])
    return pybamm.Simulation(
        model,
        parameter_values=values,
        solver=solver,
        submesh_types=meshes,
        var_pts={"x_n": 8, "x_s": 5, "x_p": 8, "r_n": 10, "r_p": 10},
    )


def _times(function, key):
    """Multiply a function of the parameter set with an input."""
    factor = pybamm.InputParameter(key)
    # pybamm counts the arguments.
    if "diffusivity" in FACTORS[key]:
        return lambda sto, T: function(sto, T) * factor
    return lambda ce, cs, cm, T: function(ce, cs, cm, T) * factor


def _rows(
    rng: Generator, base: dict[str, float], simulation: pybamm.Simulation
) -> Iterator[Row]:
    """Draw cells and discharge them."""
    area = base["Electrode height [m]"] * base["Electrode width [m]"]
    while True:
        load = clip(rng.normal(1.0, 0.22), 0.5, 1.6)
        pressing = choose(rng, {"light": 0.25, "normal": 0.5, "heavy": 0.25})
        porosity = clip(rng.normal(POROSITY[pressing], 0.02), 0.2, 0.48)
        radius_p = clip(rng.lognormal(np.log(5.0), 0.3), 2, 12)
        radius_n = clip(rng.lognormal(np.log(6.0), 0.3), 2.5, 14)
        separator = number(rng, {12: 0.35, 16: 0.3, 20: 0.2, 25: 0.15})
        salt = number(rng, {0.8: 0.15, 1.0: 0.45, 1.2: 0.25, 1.4: 0.15})
        celsius = number(rng, {-10: 0.14, 0: 0.16, 10: 0.18, 25: 0.38, 40: 0.14})
        shares = (0.4, 0.35, 0.25)
        cooling = choose(rng, dict(zip(HEAT_TRANSFER, shares, strict=True)))
        cutoff = number(rng, {2.5: 0.4, 2.75: 0.3, 3.0: 0.3})
        # In mA/cm2.
        density = clip(rng.lognormal(np.log(4.5), 0.45), 1, 12)
        powder = choose(rng, {"single-crystal": 0.4, "polycrystalline": 0.6})
        binder = choose(rng, {"PVDF": 0.6, "aqueous": 0.4})

        thick_p, thick_n = (
            base[f"{side} electrode thickness [m]"] * load * rng.lognormal(0, 0.03)
            for side in SIDES
        )
        pores_p = clip(porosity + rng.normal(0, 0.012), 0.15, 0.55)
        pores_n = clip(porosity * 0.9 + rng.normal(0, 0.02), 0.15, 0.55)
        active_p, active_n = (
            base[f"{side} electrode active material volume fraction"]
            * (1 - pores)
            / (1 - usual)
            for side, pores, usual in zip(
                SIDES, (pores_p, pores_n), (0.335, 0.25), strict=True
            )
        )
        cell = (
            *(thick_p, thick_n, separator * 1e-6),
            *(radius_p * 1e-6 * rng.lognormal(0, 0.08),),
            *(radius_n * 1e-6 * rng.lognormal(0, 0.08),),
            *(active_p, active_n, pores_p, pores_n),
            *(rng.normal(1.6, 0.15), rng.normal(1.75, 0.2)),
            *(salt * 1000.0, density * area * 10, celsius + 273.15, celsius + 273.15),
            *(rng.lognormal(np.log(0.004), 0.5),),
            *(HEAT_TRANSFER[cooling] * rng.lognormal(0, 0.2),),
        )
        speed = np.log(0.9 if powder == "single-crystal" else 1.3)
        inputs = dict(zip(INPUTS, cell, strict=True)) | {
            key: rng.lognormal(mean, 0.35)
            for key, mean in zip(FACTORS, (speed, 0.3, 0, 0), strict=True)
        }
        inputs[CUTOFF] = cutoff
        try:
            found = simulation.solve([0, SECONDS], inputs=inputs)
        except pybamm.SolverError:
            continue
        charge = float(found[CHARGE].entries[-1]) / (area * 1e4) * 1000
        charge = max(0.0, charge * rng.lognormal(0, 0.015))
        yield {
            "cathode_thickness": round(thick_p * 1e6 * rng.lognormal(0, 0.01), 1),
            "anode_thickness": round(thick_n * 1e6 * rng.lognormal(0, 0.01), 1),
            "pressing": pressing,
            "cathode_porosity": round(porosity * 100, 1),
            "cathode_particle": round(radius_p * 2, 1),
            "anode_particle": round(radius_n * 2, 1),
            "cathode_powder": powder,
            "separator": int(separator),
            "salt": salt,
            "binder": binder,
            "current_density": round(density, 1),
            "chamber_temp": int(celsius),
            "cooling": cooling,
            "cutoff_voltage": cutoff,
            "days_since_formation": int(rng.gamma(3, 6) + 1),
            "coating_shift": choose(rng, ("morning", "afternoon", "night")),
            "capacity": round(charge, 3),
        }
