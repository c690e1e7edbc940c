"""Whether the pressure at a hydrant falls too low while a fire crew draws water.

Simulator: wntr (BSD-3-Clause) with the engine EPANET 2.2, and the network Net3 that it
ships. Ours: the draws, and the roughness of pipes by material and age. Nobody observes
the roughness of a pipe, how the day's demand is spread over the nodes, the flow really
drawn, and the errors of gauges.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import networkx as nx
import pandas as pd
import wntr
from numpy.random import Generator

from benchmarks.data.worlds._draws import Row, choose, clip, number, yes

SEED = 71007
N_ROWS = 2200

#: Junctions of Net3 at pumps and wells, where no hydrant stands.
NO_HYDRANT = {"10", "15", "20", "40", "50", "60", "61", "601", "123"}
#: The links of the pump at the lake, of that at the river, and of the river's bypass.
LAKE, RIVER, BYPASS = "10", "335", "330"
MAX_TEMP = {"winter": 8, "spring": 18, "summer": 29, "autumn": 18}
FIRE = {16: 0.10, 32: 0.20, 48: 0.22, 63: 0.24, 95: 0.14, 126: 0.10}
MATERIALS = ("cast iron", "ductile iron", "PVC")
OLD, NEW = (0.45, 0.35, 0.2), (0.02, 0.48, 0.5)
#: Metres of water.
LIMIT = 30


def make(rng: Generator) -> pd.DataFrame:
    """Make the table."""
    town = Town()
    with tempfile.TemporaryDirectory() as folder:
        files = str(Path(folder) / "w")
        return pd.DataFrame([_row(rng, town, files) for _ in range(N_ROWS)])


class Town:
    """The network of water mains, and what the map says of it."""

    def __init__(self) -> None:
        library = Path(wntr.__file__).parent / "library" / "networks"
        self.net = net = wntr.network.WaterNetworkModel(str(library / "Net3.inp"))
        for name in list(net.control_name_list):
            net.remove_control(name)
        net.options.time.duration = 0
        net.options.hydraulic.demand_model = "DD"
        pipes = self.pipes = list(net.pipe_name_list)
        self.tanks = list(net.tank_name_list)
        self.hydrants = [
            name
            for name in net.junction_name_list
            if net.get_node(name).elevation > 0 and name not in NO_HYDRANT
        ]
        streets = nx.Graph()
        for name in pipes:
            streets.add_edge(*self.ends(name), w=net.get_link(name).length)
        lengths = nx.multi_source_dijkstra_path_length
        pumps = {net.get_link(name).end_node_name for name in net.pump_name_list}
        self.to_tank = lengths(streets, set(self.tanks), weight="w")
        self.to_pump = lengths(streets, pumps, weight="w")
        links = {name: net.get_links_for_node(name) for name in self.hydrants}
        self.n_pipes = {name: len(found) for name, found in links.items()}
        self.diameter = {
            name: max(net.get_link(pipe).diameter for pipe in found if pipe in pipes)
            for name, found in links.items()
        }
        self.roughness = {name: net.get_link(name).roughness for name in pipes}
        self.demand = {
            name: [each.base_value for each in self.demands(name)]
            for name in net.junction_name_list
        }
        around = nx.single_source_shortest_path_length
        self.near = {
            name: [
                pipe
                for pipe in pipes
                if {*self.ends(pipe)} & set(around(streets, name, 2))
            ]
            for name in self.hydrants
        }
        self.bridges = {frozenset(edge) for edge in nx.bridges(streets)}
        for name in self.hydrants:
            net.get_node(name).add_demand(0.0, None, "fire")

    def ends(self, pipe: str) -> tuple[str, str]:
        """Name the nodes that a pipe lies between."""
        link = self.net.get_link(pipe)
        return link.start_node_name, link.end_node_name

    def demands(self, node: str) -> wntr.network.elements.Demands:
        """Give the demands of a node, that of the fire crew last."""
        return self.net.get_node(node).demand_timeseries_list

    def open_all(self, rng: Generator, factors: Mapping[str, float]) -> None:
        """Open all pipes, and draw their roughness around that of the map."""
        for name in self.pipes:
            link = self.net.get_link(name)
            new = self.roughness[name] * factors[name] * rng.lognormal(0, 0.1)
            link.roughness = clip(new, 30, 199)
            link.initial_status = "Open"

    def close(self, link: str, is_closed: bool = True) -> None:
        """Close a link, or open it."""
        self.net.get_link(link).initial_status = "Closed" if is_closed else "Open"

    def draw_water(
        self, demand: float, factors: Mapping[str, float], at: str, flow: float
    ) -> None:
        """Set what is drawn at every node, and at the hydrant, in m³/s."""
        for name, usual in self.demand.items():
            demands = self.demands(name)
            for place, value in enumerate(usual):
                demands[place].base_value = value * demand * factors[name]
            if len(demands) > len(usual):
                demands[-1].base_value = flow if name == at else 0.0

    def pressure(self, node: str, hour: int, files: str) -> float:
        """Simulate an hour; in m of water."""
        # The pattern of demands of the network begins at about 7 o'clock.
        self.net.options.time.pattern_start = (hour - 7) % 24 * 3600
        simulator = wntr.sim.EpanetSimulator(self.net)
        found = simulator.run_sim(file_prefix=files)
        return float(found.node["pressure"].loc[0, node])


def _row(rng: Generator, town: Town, files: str) -> Row:
    """Draw a fire, and see what pressure it leaves."""
    hydrant = choose(rng, town.hydrants)
    hour, season = int(rng.integers(0, 24)), choose(rng, [*MAX_TEMP])
    max_temp = clip(MAX_TEMP[season] + rng.normal(0, 5), -5, 41)
    demand = (1 + 0.012 * max(0, max_temp - 15)) * rng.lognormal(0, 0.07)
    levels = {name: clip(rng.beta(3.2, 2.2), 0.05, 0.98) for name in town.tanks}
    lake, river = rng.random() < 0.65, rng.random() < 0.75
    if not (lake or river) and rng.random() < 0.6:
        river = True
    fire = number(rng, FIRE)
    age = clip(rng.normal(42, 16), 3, 95)
    shares = OLD if age > 35 else NEW
    material = choose(rng, dict(zip(MATERIALS, shares, strict=True)))
    closed = _closed(rng, town, hydrant)

    kept = {
        "cast iron": 1 - 0.006 * age,
        "ductile iron": 1.05 - 0.0025 * age,
        "PVC": 1.1,
    }
    local, city = kept[material] * rng.lognormal(0, 0.15), rng.lognormal(-0.05, 0.08)
    near = set(town.near[hydrant])
    town.open_all(rng, {pipe: local if pipe in near else city for pipe in town.pipes})
    if closed:
        town.close(closed)
    spread = rng.lognormal(0, 0.25, len(town.demand))
    flow = fire / 1000 * rng.lognormal(0, 0.08)
    factors = dict(zip(town.demand, spread, strict=True))
    town.draw_water(demand, factors, hydrant, flow)
    for name in town.tanks:
        tank = town.net.get_node(name)
        tank.init_level = (
            tank.min_level + (tank.max_level - tank.min_level) * levels[name]
        )
    town.close(LAKE, not lake)
    town.close(RIVER, not river)
    town.close(BYPASS, river)
    pressure = town.pressure(hydrant, hour, files)
    gauges = {
        f"tank_{name}_level": round(clip(100 * levels[name] + rng.normal(0, 3), 0, 100))
        for name in town.tanks
    }
    return {
        "hour": hour,
        "season": season,
        "max_temp": round(max_temp, 1),
        "hydrant_elevation": round(town.net.get_node(hydrant).elevation, 1),
        "main_diameter": round(town.diameter[hydrant] * 1000 / 25.4) * 25,
        "main_material": material,
        "main_age": round(age),
        "pipes_at_node": town.n_pipes[hydrant],
        "distance_tank": round(town.to_tank[hydrant] / 10) * 10,
        "distance_pump": round(town.to_pump[hydrant] / 10) * 10,
        "local_demand": round(1000 * sum(town.demand[hydrant]), 2),
        **gauges,
        "lake_pump": "on" if lake else "off",
        "river_pump": "on" if river else "off",
        "valve_closed": yes(closed),
        "hydrant_colour": choose(rng, ("red", "yellow", "blue")),
        "days_since_flush": int(rng.uniform(5, 720)),
        "fire_flow": fire,
        "low_pressure": yes(pressure + rng.normal(0, 0.8) < LIMIT),
    }


def _closed(rng: Generator, town: Town, hydrant: str) -> str | None:
    """Draw a main that is shut for repair: none that cuts the town in two."""
    if rng.random() >= 0.12:
        return None
    may = [
        pipe
        for pipe in town.near[hydrant]
        if frozenset(town.ends(pipe)) not in town.bridges
    ]
    return choose(rng, may) if may else None
