"""Which history of size a population had, told from a sample of its genomes.

Simulator: msprime (GPL-3.0-or-later, which covers the code and not what it draws), the
coalescent with recombination. Ours: the draws, singletons that are missed or false, and
the statistics, by their textbook definitions. Nobody observes the rates of mutation and
recombination of the region, strength and time of the change, and the size.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msprime
import numpy as np
import pandas as pd
from numpy.random import Generator

from benchmarks.data.worlds._draws import Row, choose, clip, number

SEED = 71010
N_ROWS = 3000

#: Usual effective size of a population, and mutation rate over 1.2e-8.
TAXA = {
    "mammal": (1.2e4, 1.1),
    "bird": (2e4, 0.5),
    "fish": (3e4, 0.5),
    "insect": (6e4, 0.35),
    "plant": (3e4, 0.6),
}
HISTORIES = ("stable", "bottleneck", "expansion")
#: Common sites whose linkage is measured, at most.
N_LINKED = 60


def make(rng: Generator) -> pd.DataFrame:
    """Make the table."""
    return pd.DataFrame(islice(_rows(rng), N_ROWS))


def _rows(rng: Generator) -> Iterator[Row]:
    """Draw populations, sequence a region of some individuals, and describe it."""
    while True:
        history, taxon = choose(rng, HISTORIES), choose(rng, [*TAXA])
        usual, mutates = TAXA[taxon]
        size = clip(rng.lognormal(np.log(usual), 0.6), 2e3, 3e5)
        mutation = 1.2e-8 * mutates * rng.lognormal(0, 0.3)
        recombination = 1e-8 * rng.lognormal(0, 0.5)
        n = int(rng.choice([8, 12, 16, 24, 32]))
        kilobases = int(number(rng, {20: 0.25, 50: 0.3, 100: 0.3, 150: 0.15}))
        length = kilobases * 1000
        demography = _demography(rng, history, size)
        seed = int(rng.integers(1, 2**31))
        trees = msprime.sim_mutations(
            msprime.sim_ancestry(
                n,
                demography=demography,
                sequence_length=length,
                recombination_rate=recombination,
                random_seed=seed,
            ),
            rate=mutation,
            random_seed=seed,
        )
        sites = trees.genotype_matrix() if trees.num_sites else np.zeros((0, 2 * n))
        depth = clip(rng.gamma(6, 3.5), 5, 60)
        called = _called(rng, (sites > 0).astype(int), length, depth)
        if len(called) < 6:
            continue
        yield {
            "taxon": taxon,
            "individuals": n,
            "region_kb": kilobases,
            "read_depth": round(depth, 1),
            **_statistics(rng, called, length),
            "gc_content": round(clip(rng.normal(0.42, 0.04), 0.3, 0.6), 3),
            "chromosome_arm": choose(rng, {"short": 0.35, "long": 0.65}),
            "collection_year": int(rng.integers(1998, 2024)),
            "history": history,
        }


def _demography(rng: Generator, history: str, size: float) -> msprime.Demography:
    """Draw how the size changed, from now on back; times in generations."""
    demography = msprime.Demography()
    demography.add_population(name="A", initial_size=size)

    def change(time: float, to: float) -> None:
        demography.add_population_parameters_change(
            time=time, initial_size=to, population="A"
        )

    if history == "bottleneck":
        time = rng.uniform(0.02, 0.5) * 2 * size
        lasts = rng.uniform(0.01, 0.08) * 2 * size
        change(time, size * rng.uniform(0.01, 0.10))
        change(time + lasts, size * rng.uniform(0.7, 1.5))
    elif history == "expansion":
        time = rng.uniform(0.03, 0.7) * 2 * size
        change(time, size / rng.uniform(3, 25))
    else:
        change(rng.uniform(0.05, 1) * 2 * size, size * rng.lognormal(0, 0.25))
    return demography


def _called(rng: Generator, sites: np.ndarray, length: int, depth: float) -> np.ndarray:
    """Miss a share of the singletons, and add a few false ones.

    Sites and what is returned have the shape (n_sites, n_sequences), of 0 and 1.
    """
    n_sequences = sites.shape[1]
    counts = sites.sum(1)
    sites = sites[(counts > 0) & (counts < n_sequences)]
    counts = sites.sum(1)
    is_called = rng.random(len(counts)) > np.exp(-depth / 9)
    sites = sites[(counts > 1) | is_called]
    n = n_sequences // 2
    n_false = rng.poisson(0.35 * n * 2 * length * 1e-7 * 10 / depth * 5)
    if len(sites) + n_false < 6:
        return sites[:0]
    false = np.zeros((n_false, n_sequences), int)
    false[np.arange(n_false), rng.integers(0, n_sequences, n_false)] = 1
    return np.vstack([sites, false])


def _statistics(rng: Generator, sites: np.ndarray, length: int) -> Row:
    """Describe the diversity of a sample."""
    n_sites, m = sites.shape
    counts = sites.sum(1)
    differences = 2 * counts * (m - counts) / (m * (m - 1))
    pi = differences.sum()
    a1 = (1 / np.arange(1, m)).sum()
    rarer = np.minimum(counts, m - counts)
    shares = pd.Series([each.tobytes() for each in sites.T]).value_counts() / m
    common = np.where(rarer >= max(2, 0.1 * m))[0]
    if len(common) > N_LINKED:
        common = rng.choice(common, N_LINKED, replace=False)
    if len(common) > 2:
        pairs = np.triu_indices(len(common), 1)
        r2 = np.corrcoef(sites[common])[pairs] ** 2
    else:
        r2 = np.array([rng.uniform(0.05, 0.2)])
    heterozygous = (sites[:, 0::2] != sites[:, 1::2]).mean()
    diversity = (1 - (shares.to_numpy() ** 2).sum()) * m / (m - 1)
    return {
        "segregating_sites": n_sites,
        "nucleotide_diversity": round(1000 * pi / length, 3),
        "watterson_theta": round(1000 * n_sites / a1 / length, 3),
        "tajimas_d": round(_tajimas_d(pi, n_sites, m), 2),
        "singleton_share": round((rarer == 1).mean(), 3),
        "common_share": round((rarer >= 0.3 * m).mean(), 3),
        "haplotypes": len(shares),
        "haplotype_diversity": round(diversity, 3),
        "linkage_r2": round(float(np.nanmean(r2)), 3),
        "inbreeding": round(1 - heterozygous / differences.mean(), 3),
    }


def _tajimas_d(pi: float, n_sites: int, m: int) -> float:
    """Hold the mean number of differences against that of sites (Tajima, 1989)."""
    a1 = (1 / np.arange(1, m)).sum()
    a2 = (1 / np.arange(1, m) ** 2).sum()
    b1 = (m + 1) / (3 * (m - 1))
    b2 = 2 * (m**2 + m + 3) / (9 * m * (m - 1))
    c1 = b1 - 1 / a1
    c2 = b2 - (m + 2) / (a1 * m) + a2 / a1**2
    variance = c1 / a1 * n_sites + c2 / (a1**2 + a2) * n_sites * (n_sites - 1)
    return (pi - n_sites / a1) / np.sqrt(variance)
