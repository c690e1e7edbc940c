"""Whether the refundable credits of a family exceed its federal income tax.

Simulator: taxcalc (CC0), US federal income and payroll tax by the law of 2024. Ours:
the families, of whom no data of the package is used. Nobody observes the true incomes
(the table has answers, rounded), deductions and adjustments, the custody of children,
costs of child care, who studies, and whose number is valid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import taxcalc
from numpy.random import Generator

from benchmarks.data.worlds._draws import Row, choose, yes

SEED = 71013
N_ROWS = 3500
YEAR = 2024

EDUCATION = {
    "no diploma": 0.10,
    "high school": 0.30,
    "some college": 0.29,
    "bachelor or more": 0.31,
}
EARNS = {
    "no diploma": 0.68,
    "high school": 0.85,
    "some college": 1.0,
    "bachelor or more": 1.55,
}
WORK = ("full-time", "part-time", "self-employed", "unemployed", "retired or none")
YOUNGER, OLDER = (0.56, 0.15, 0.09, 0.06, 0.14), (0.15, 0.13, 0.07, 0.01, 0.64)
SPOUSE_WORK = {"full-time": 0.5, "part-time": 0.2, "not working": 0.3}
SPOUSE_EARNS = {
    "full-time": 1.0,
    "part-time": 0.38,
    "not working": 0.0,
    "no spouse": 0.0,
}
REGIONS = {"Northeast": 0.17, "Midwest": 0.21, "South": 0.38, "West": 0.24}
AMOUNTS = (
    *("wages", "self_employment", "unemployment_benefit", "spouse_wages"),
    *("investment_income", "social_security", "pension_income"),
)


def make(rng: Generator) -> pd.DataFrame:
    """Make the table."""
    families = [_family(rng, number) for number in range(1, N_ROWS + 1)]
    returns, answers = (pd.DataFrame(each) for each in zip(*families, strict=True))
    records = taxcalc.Records(
        data=returns, start_year=YEAR, gfactors=None, weights=None, adjust_ratios=None
    )
    policy = taxcalc.Policy()
    calculator = taxcalc.Calculator(policy=policy, records=records, verbose=False)
    calculator.calc_all()
    is_negative = calculator.array("iitax") < 0
    answers["net_payment"] = np.where(is_negative, "yes", "no")
    return answers.astype(dict.fromkeys(AMOUNTS, int))


def _family(rng: Generator, number: int) -> tuple[Row, Row]:
    """Draw a family: its tax return, and its answers in an interview."""
    age, joint, ages = _people(rng)
    education = choose(rng, EDUCATION)
    shares = YOUNGER if age < 64 else OLDER
    work = choose(rng, dict(zip(WORK, shares, strict=True)))
    money = _incomes(rng, age, joint, education, work)
    owns = rng.random() < (0.75 if joint else 0.48) * (1 if age > 34 else 0.6)
    mortgage = rng.lognormal(9.0, 0.5) if owns and rng.random() < 0.65 else 0.0
    tax_return = _tax_return(rng, age, joint, ages, money, mortgage)

    def told(amount: float, spread: float = 0.24) -> float:
        """Give an amount as answered: off, skipped now and then, rounded."""
        said = amount * rng.lognormal(-0.04, spread) * (rng.random() > 0.06)
        return float(np.round(said, -3 if abs(amount) > 3000 else -2))

    answers = {
        "age": age,
        "married": yes(joint),
        "children_under_6": int((ages < 6).sum()),
        "children_6_16": int(((ages >= 6) & (ages < 17)).sum()),
        "children_17_up": int((ages >= 17).sum()),
        "education": education,
        "work_status": work,
        "wages": told(money["wages"]),
        "self_employment": told(money["own"], 0.4),
        "unemployment_benefit": told(money["benefit"], 0.2),
        "spouse_work": money["spouse_work"],
        "spouse_wages": told(money["spouse"], 0.3),
        "investment_income": told(money["invested"] + money["gains"], 0.4),
        "social_security": told(money["security"], 0.1),
        "pension_income": told(money["pension"], 0.15),
        "home": "owner" if owns else "renter",
        "region": choose(rng, REGIONS),
        "vehicles": int(rng.poisson(1 + 0.6 * joint)),
        "phone_years": int(rng.integers(0, 6)),
    }
    return {"RECID": number, **tax_return}, answers


def _people(rng: Generator) -> tuple[int, bool, np.ndarray]:
    """Draw an age, whether there is a spouse, and the ages of the children."""
    age = int(np.clip(rng.normal(43, 15), 19, 84))
    decade = min(3, (age - 19) // 14)
    joint = bool(rng.random() < (0.30, 0.52, 0.58, 0.5)[decade])
    mean = 0.15 if age < 24 else 1.15 if age < 46 else 0.35 if age < 56 else 0.03
    n_children = int(min(5, rng.poisson(mean * (1.3 if joint else 0.75))))
    ages = np.clip(rng.normal(age - 29, 5, n_children), 0, 22)
    return age, joint, np.sort(ages).astype(int)


def _incomes(
    rng: Generator, age: int, joint: bool, education: str, work: str
) -> dict[str, Any]:
    """Draw what a family lives on, in dollars a year, and the work of the spouse."""
    start = 0.55 if age < 24 else 0.85 if age < 30 else 1.05
    scale = EARNS[education] * start
    base = scale * rng.lognormal(np.log(42000), 0.55)
    wages = {
        "full-time": base,
        "part-time": base * rng.uniform(0.2, 0.6),
        "self-employed": base * 0.1 * (rng.random() < 0.3),
        "unemployed": base * rng.uniform(0, 0.5),
        "retired or none": 0.0,
    }[work]
    if work == "self-employed":
        own = base * rng.lognormal(-0.35, 0.7)
        if rng.random() < 0.07:
            own = -rng.uniform(500, 9000)
    else:
        own = base * rng.uniform(0.02, 0.2) if rng.random() < 0.08 else 0.0
    gets_benefit = work == "unemployed" and rng.random() < 0.7
    benefit = rng.uniform(1500, 11000) if gets_benefit else 0.0
    spouse_work = choose(rng, SPOUSE_WORK) if joint else "no spouse"
    earns = SPOUSE_EARNS[spouse_work] * scale**0.6
    spouse = earns * rng.lognormal(np.log(40000), 0.5)
    invested = rng.lognormal(5.0, 1.7) if rng.random() < 0.45 else 0.0
    gains = rng.lognormal(7.5, 1.3) if rng.random() < 0.08 else 0.0
    security = 0.0
    if age >= 67 or (age >= 62 and work == "retired or none"):
        security = max(0.0, rng.normal(20000, 6000) * (1.55 if joint else 1))
    if age >= 60 and rng.random() < 0.5:
        pension = rng.lognormal(9.4, 0.9)
    else:
        pension = rng.lognormal(8.3, 0.9) if rng.random() < 0.04 else 0.0
    return {
        "wages": wages,
        "own": own,
        "benefit": benefit,
        "spouse": spouse,
        "spouse_work": spouse_work,
        "invested": invested,
        "gains": gains,
        "security": security,
        "pension": pension,
    }


def _tax_return(
    rng: Generator,
    age: int,
    joint: bool,
    ages: np.ndarray,
    money: dict[str, Any],
    mortgage: float,
) -> Row:
    """Fill in the tax return, by the names of taxcalc."""
    # A lone parent's child may be claimed by the other parent.
    claimed = [bool(rng.random() < (0.97 if joint else 0.80)) for _ in ages]
    ages = ages[np.array(claimed, bool)]
    counts = [bool(a < 19 or rng.random() < 0.45) for a in ages]
    ages = ages[np.array(counts, bool)]
    is_valid = rng.random() > 0.04
    wages, spouse = money["wages"], money["spouse"]
    ira = rng.uniform(500, 6500) if rng.random() < 0.09 else 0.0
    loan = rng.uniform(200, 2500) if age < 46 and rng.random() < 0.2 else 0.0
    saved = wages * rng.choice([0, 0.04, 0.08], p=[0.5, 0.3, 0.2])
    works = not joint or money["spouse_work"] != "not working"
    n_small = int((ages < 13).sum())
    care = rng.lognormal(8.0, 0.7) if n_small and works and rng.random() < 0.4 else 0.0
    hides = rng.random() < 0.25 and money["own"] > 0
    own = money["own"] * (0.6 if hides else 1)
    paid = max(0.0, wages - saved)
    partner = int(np.clip(age + rng.normal(-1, 4), 19, 90)) if joint else 0
    return {
        "MARS": 2 if joint else (4 if len(ages) else 1),
        "FLPDYR": YEAR,
        "age_head": age,
        "age_spouse": partner,
        "EIC": min(3, len(ages)) if is_valid else 0,
        "XTOT": 1 + joint + len(ages),
        "n24": int((ages < 17).sum()),
        "nu18": int((ages < 18).sum()),
        "nu13": n_small,
        "nu06": int((ages < 6).sum()),
        "n1820": int(((ages >= 18) & (ages < 21)).sum()),
        "n21": 1 + joint,
        "f2441": int(min(2, n_small)) if care else 0,
        "e32800": care,
        "e00200p": paid,
        "e00200s": spouse,
        "e00200": paid + spouse,
        "pencon_p": saved,
        "e00900p": own,
        "e00900": own,
        "e00300": money["invested"] * 0.4,
        "e00600": money["invested"] * 0.6,
        "e00650": money["invested"] * 0.45,
        "p23250": money["gains"],
        "e02300": money["benefit"],
        "e02400": money["security"],
        "e01500": money["pension"],
        "e01700": money["pension"] * rng.uniform(0.7, 1),
        "e03150": ira,
        "e03210": loan,
        "e19200": mortgage,
        "e18500": mortgage * 0.45,
        "e18400": 0.035 * (wages + spouse),
        "e19800": rng.lognormal(6.5, 1) if rng.random() < 0.4 else 0.0,
    }
