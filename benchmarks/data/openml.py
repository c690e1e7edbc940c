"""How the tables that OpenML holds become the tables that the cards describe.

Only tables whose OpenML number is known for certain are here. What comes back is
checked against the card by the caller, so a table that changed is refused, not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sklearn.datasets import fetch_openml

_ONE_TO_FOUR = {
    "1": "LevelOne",
    "2": "LevelTwo",
    "3": "LevelThree",
    "4": "LevelFour",
}
_CONTRACEPTIVE = {
    "WifeEdu": _ONE_TO_FOUR,
    "HusbandEdu": _ONE_TO_FOUR,
    "HusbandOccupation": _ONE_TO_FOUR,
    "StandardOfLivingIndex": _ONE_TO_FOUR,
    "WifeReligion": {"0": "NonIslam", "1": "Islam"},
    "WifeWorking": {"0": "Yes", "1": "No"},
    "MediaExposure": {"0": "Good", "1": "NotGood"},
}
_CONTRACEPTIVE_COLUMNS = (
    "WifeAge WifeEdu HusbandEdu NumChildren WifeReligion WifeWorking "
    "HusbandOccupation StandardOfLivingIndex MediaExposure"
)


def _ljubljana(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the binned columns into bin indices, the nominal ones into flags."""
    low = {
        column: table[column].str.split("-").str[0].astype(float)
        for column in ("age", "tumor-size", "inv-nodes")
    }
    quadrants = {
        "Central": "central",
        "LowerLeft": "left_low",
        "UpperLeft": "left_up",
        "LowerRight": "right_low",
        "UpperRight": "right_up",
    }
    flags = {
        "NodeCaps": ("node-caps", "yes"),
        "Irradiated": ("irradiat", "yes"),
        "MenopauseOver40": ("menopause", "ge40"),
        "MenopauseUnder40": ("menopause", "lt40"),
        "Premenopause": ("menopause", "premeno"),
        "LeftBreast": ("breast", "left"),
        "RightBreast": ("breast", "right"),
        **{
            f"{name}BreastQuadrant": ("breast-quad", value)
            for name, value in quadrants.items()
        },
    }
    return pd.DataFrame(
        {
            "Age": low["age"] // 10 - 1,
            "TumorSize": low["tumor-size"] // 5,
            "INVNodes": low["inv-nodes"] // 3,
            "DegreeMalignancy": table["deg-malig"].astype(float),
            # A missing answer stays missing: the card drops such rows.
            **{
                name: table[column].eq(value).where(table[column].notna())
                for name, (column, value) in flags.items()
            },
        }
    )


@dataclass(frozen=True)
class Recipe:
    """Where a table lies on OpenML, and how it is renamed and recoded.

    `columns` names the columns in OpenML's order (empty: OpenML's own names), `levels`
    recodes the levels of a column, `missing` is the level that a missing category
    stands for, and `prepare` makes the card's columns from OpenML's text.
    """

    data_id: int
    target: str
    classes: Mapping[str, str]
    columns: str = ""
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: str | None = None
    prepare: Callable[[pd.DataFrame], pd.DataFrame] | None = None


RECIPES: Mapping[str, Recipe] = {
    "adult": Recipe(
        1590,
        "income",
        {"<=50K": "no", ">50K": "yes"},
        "age workclass fnlwgt education education_num marital_status occupation "
        "relationship race sex capital_gain capital_loss hours_per_week "
        "native_country",
        missing="unknown",
    ),
    "bank": Recipe(
        1461,
        "subscribed",
        {"1": "no", "2": "yes"},
        "age job marital education default balance housing loan contact day month "
        "duration campaign pdays previous poutcome",
    ),
    "bodyfat": Recipe(778, "binaryClass", {"P": "no", "N": "yes"}),
    "breast-ljubljana": Recipe(
        13,
        "Class",
        {"no-recurrence-events": "no", "recurrence-events": "yes"},
        prepare=_ljubljana,
    ),
    "contraceptive": Recipe(
        23,
        "ContraceptiveMethod",
        {"1": "no", "2": "yes", "3": "yes"},
        _CONTRACEPTIVE_COLUMNS,
        _CONTRACEPTIVE,
    ),
    "contraceptive-multiclass": Recipe(
        23,
        "ContraceptiveMethod",
        {"1": "NoContraceptive", "2": "LongTerm", "3": "ShortTerm"},
        _CONTRACEPTIVE_COLUMNS,
        _CONTRACEPTIVE,
    ),
    "diabetes": Recipe(
        37,
        "Outcome",
        {"tested_negative": "no", "tested_positive": "yes"},
        "Pregnancies Glucose BloodPressure SkinThickness Insulin BMI "
        "DiabetesPedigreeFunction Age",
    ),
    "electricity": Recipe(
        151,
        "Class",
        {"DOWN": "no", "UP": "yes"},
        "Date Day Period APrice ADemand BPrice BDemand ScheduledElectricityTransfer",
    ),
    "indian_liver": Recipe(
        1480,
        "Dataset",
        {"1": "yes", "2": "no"},
        "Age Gender TotalBilirubin DirectBilirubin AlkalinePhosphotase "
        "AlamineAminotransferase AspartateAminotransferase TotalProtiens Albumin "
        "AlbuminandGlobulinRatio",
    ),
}


def fetch(name: str) -> pd.DataFrame:
    """Download a table from OpenML and name its columns as the card does.

    Raises LookupError where no number is known or the columns are other ones than when
    the recipe was written, OSError where OpenML does not answer.
    """
    if name not in RECIPES:
        raise LookupError(f"no OpenML number is known for {name!r}")
    recipe = RECIPES[name]
    bunch = fetch_openml(data_id=recipe.data_id, as_frame=True, parser="auto")
    table = bunch.data.apply(_plain)
    if recipe.columns:
        columns = recipe.columns.split()
        if len(columns) != table.shape[1]:
            raise LookupError(
                f"OpenML {recipe.data_id} has {table.shape[1]} columns instead of "
                f"{len(columns)}"
            )
        table.columns = pd.Index(columns)
    for column, levels in recipe.levels.items():
        table[column] = table[column].map(levels)
    if recipe.prepare is not None:
        table = recipe.prepare(table)
    if recipe.missing is not None:
        table = table.fillna(recipe.missing)
    return table.assign(**{recipe.target: _plain(bunch.target).map(recipe.classes)})


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return categories as bare text, and whole numbers as "1", however they came."""
    if pd.api.types.is_numeric_dtype(column):
        whole = column.notna().all() and column.mod(1).eq(0).all()
        return column.astype("int64").astype(str) if whole else column
    text = column.astype(object).where(column.notna(), None)
    return text.map(lambda value: str(value).strip("' "), na_action="ignore")
