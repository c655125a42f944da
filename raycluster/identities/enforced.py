"""Rules put in force on the communities of any solver.

Communities that break a rule are solved again, some at a time, with those around them frozen. So are communities that hold
rows of one node. All others stay as they are.

The links are read once, where they lie. Memory grows with rows, and with the links that reach broken communities.

Shapes: N rows, E links, C communities; nodes are the lowest rows of tied sets (`rules.Rules`).
"""

from collections.abc import Iterator

import numpy as np

from raycluster.arrays import Array, Bool, Float32, Int32, Int64, UInt8
from raycluster.identities.contraction import LINKS_PER_CALL, links_of_nodes, rule_bits
from raycluster.identities.rules import Rules
from raycluster.identities.ties import Ties
from raycluster.kernels import numba
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.aggregate import numbered
from raycluster.kernels.map_equation.apart import Apart, broken_communities, distinct
from raycluster.kernels.map_equation.local import LocalSolution
from raycluster.kernels.map_equation.local_regions import solve_region
from raycluster.kernels.map_equation.local_state import State
from raycluster.kernels.map_equation.local_terms import add_links, community_flows, flows_of_links
from raycluster.kernels.threads import at_most

ROWS_PER_CALL = 2**18
"""Rows compared at once, 260,000: about 3 MB. Results do not depend on it."""
ROWS_PER_SOLVE = 2**15
"""Rows of communities solved at once, 32,768: about 20 MB. Where rules reach more rows, communities of one solve see those of
the next as they were. Raising it takes more memory."""


Links = tuple[Int32, Int32, Float32]
"""Source, target and weight."""


def obeyed(
    source: Int32, target: Int32, weight: Float32, membership: Int32, rules: Rules, own: flows.Flows | None = None
) -> LocalSolution:
    """Return communities that break no rule.

    Parameters
    ----------
    source, target, weight : (E,)
        Undirected links of rows. They are only read.
    membership : (N,) int32
        Communities of the rows, 0..C-1, of any solver. Overwritten by the result.
    rules : Rules
        What must hold, without values of columns: those of a community can lie anywhere in it.
    own : Flows, optional
        (C,) flows of the communities, without rules; none computes them. Overwritten and lengthened.
    """
    assert rules.apart.value.shape[1] == 0, "values need all members of a community"
    count = int(membership.max(initial=-1)) + 1
    if own is None:
        own = flows_of_links(source, target, weight, membership, count)
    state = _State(membership, rules, own)
    chosen = state.broken()
    state.read((source, target, weight), chosen)
    solved = 0
    for block, later in _blocks(chosen, _sizes(membership, count)[chosen]):
        solved += state.solve(block, later)
    membership[rules.ties.row] = membership[rules.ties.node]
    strength, exits = state.strength, state.exits
    del state  # its links are not needed any more
    kept = numbered(membership)
    strength = strength[kept]
    exits = exits[kept]
    after = flows.Flows(strength, exits, exits)
    return LocalSolution(membership, after, int(solved > 0), True, solved)


def _sizes(membership: Int32, count: int) -> Int64:
    """Return the rows (C,) of each community; bincount of all would copy them."""
    result = np.zeros(count, np.int64)
    for start in range(0, len(membership), ROWS_PER_CALL):
        result += np.bincount(membership[start : start + ROWS_PER_CALL], minlength=count)
    return result


def _blocks(chosen: Int64, size: Int64) -> Iterator[tuple[Int64, Int64]]:
    """Yield communities in blocks, and those of all later blocks.

    A block has at most ROWS_PER_SOLVE rows, or one larger community.
    """
    block = np.cumsum(size) // ROWS_PER_SOLVE
    for number in np.unique(block):
        yield chosen[block == number], chosen[block > number]


class _State:
    """Communities of nodes and their flows while blocks are solved."""

    def __init__(self, membership: Int32, rules: Rules, own: flows.Flows) -> None:
        self.membership, self.rules = membership, rules
        self.strength, self.exits = own.flow, own.exit
        none = np.empty(0, np.int32)
        self.links: Links = (none, none, np.empty(0, np.float32))

    @property
    def count(self) -> int:
        """The first number that no community has had."""
        return len(self.strength)

    def broken(self) -> Int64:
        """Return the communities to be solved, ascending.

        They break a rule, or hold some of the rows of one node.
        """
        ties = self.rules.ties
        own, of_node = self.membership[ties.row], self.membership[ties.node]
        parted = np.flatnonzero(own != of_node)
        result = [broken_communities(self.membership, self.rules.apart), own[parted], of_node[parted]]
        return distinct(np.concatenate(result).astype(np.int64))

    def read(self, links: Links, chosen: Int64) -> None:
        """Keep the links of nodes that reach chosen communities.

        Forbidden links elsewhere leave the flows.
        """
        is_chosen = np.zeros(self.count, bool)
        is_chosen[chosen] = True
        bits = rule_bits(self.rules.apart)
        # A tied row has the bits of its node. It is in a chosen community where its node is.
        bits[self.rules.ties.row] = bits[self.rules.ties.node]
        flags = np.zeros(len(self.membership) // ROWS_PER_BYTE + 1, np.uint8)
        _flag(self.membership, bits, is_chosen, flags)
        kept: list[list[Array]] = [[column[:0]] for column in links]  # a set may have no link at all
        for raw in _read(links, bits, flags):
            *ends, own, parted = links_of_nodes(*raw, self.rules, bits)
            near = is_chosen[self.membership[ends[0]]] | is_chosen[self.membership[ends[1]]]
            for column, values in zip(kept, (*ends, own), strict=True):
                column.append(values[near & ~parted])
            gone = parted & ~near
            add_links(raw[0][gone], raw[1][gone], raw[2][gone], self.membership, -1.0, self.strength, self.exits)
        del flags, bits  # what is joined is as large
        self.links = (_joined(kept[0]), _joined(kept[1]), _joined(kept[2]))

    def solve(self, chosen: Int64, later: Int64) -> int:
        """Solve some communities again on the links that reach them; returns their nodes.

        Links that reach neither them nor `later` ones are let go.
        """
        membership, apart = self.membership, self.rules.apart
        is_chosen = np.zeros(self.count, bool)
        is_chosen[chosen] = True
        inside = self._members(is_chosen)
        is_left = is_chosen.copy()
        is_left[later] = True
        is_near = np.empty(len(self.links[0]), np.bool_)
        num_left = _reaching(*self.links, membership, is_chosen, is_left, is_near)
        self.links = (self.links[0][:num_left], self.links[1][:num_left], self.links[2][:num_left])
        near = np.flatnonzero(is_near[:num_left])
        del is_near
        one, other, own = self.links[0][near], self.links[1][near], self.links[2][near]
        member, group = apart.shared(inside)
        nodes = distinct(np.concatenate([inside, one, other, member]).astype(np.int64)).astype(np.int32)
        names, inverse = np.unique(membership[nodes], return_inverse=True)
        local: Int32 = inverse.astype(np.int32)
        # As ties to their numbers: found without a search of all nodes.
        numbering = Ties.make(nodes, np.arange(len(nodes), dtype=np.int32), len(membership))
        ends = numbering.of(one), numbering.of(other)
        network = flows.undirected(*ends, own, np.arange(len(nodes), dtype=np.int32), 1)
        numbers = np.unique(group, return_inverse=True)[1]
        place, num_groups = np.searchsorted(nodes, member), int(numbers.max(initial=-1)) + 1
        # All links of these communities are here, and those of the ones around only in their flows.
        here = community_flows(network, local, len(names))
        frozen = ~is_chosen[names]
        here.flow[frozen], here.enter[frozen] = self.strength[names[frozen]], self.exits[names[frozen]]
        here = flows.Flows(here.flow, here.enter, here.enter)
        self.strength[chosen], self.exits[chosen] = 0, 0
        rules = Apart.make(place, numbers, num_groups, apart.value[nodes], len(nodes))
        state = State(network, local, here, rules)
        state.exits_elsewhere = max(float(self.exits.sum() - here.enter[frozen].sum()), 0.0)
        with at_most(1):
            # Rules change few links of a community that was solved: of 87.5 million bits, splits save 133.
            solve_region(state, np.searchsorted(nodes, inside).astype(np.int32), None, is_first=True, is_thorough=False)
        self._take(nodes, state, is_chosen)
        return len(inside)

    def _members(self, is_chosen: Bool) -> Int32:
        """Return the nodes of chosen communities, ascending."""
        result = []
        for start in range(0, len(self.membership), ROWS_PER_CALL):
            piece = self.membership[start : start + ROWS_PER_CALL]
            rows = np.empty(len(piece), np.int32)
            result.append(rows[: _chosen(piece, is_chosen, start, rows)].copy())
        inside: Int32 = np.concatenate(result)
        return inside[self.rules.ties.of(inside) == inside]

    def _take(self, nodes: Int32, solution: State, is_chosen: Bool) -> None:
        """Write a solution.

        A community with nodes around keeps its number. All others take those of the chosen ones, then new ones.
        """
        kept = numbered(solution.membership)
        solved, before = solution.membership, self.membership[nodes]
        around = ~is_chosen[before]
        number = np.full(len(kept), -1, np.int32)
        number[solved[around]] = before[around]
        fresh, free = np.flatnonzero(number < 0), np.flatnonzero(is_chosen)
        more = max(len(fresh) - len(free), 0)
        number[fresh] = np.concatenate([free, self.count + np.arange(more)])[: len(fresh)]
        if more:
            # In place: a copy of both would take 16 bytes per community. What is added is 0.
            self.strength.resize(self.count + more, refcheck=False)
            self.exits.resize(len(self.strength), refcheck=False)
        self.strength[number], self.exits[number] = solution.flows.flow[kept], solution.flows.enter[kept]
        self.membership[nodes] = number[solved]


def _read(links: Links, bits: UInt8, flags: UInt8) -> Iterator[Links]:
    """Yield the links with a chosen end or two ends with rules, some at a time."""
    source, target, weight = links
    for start in range(0, len(source), LINKS_PER_CALL):
        piece = slice(start, start + LINKS_PER_CALL)
        one, other = source[piece], target[piece]
        at = np.empty(len(one), np.int32)
        at = at[: _flagged(one, other, bits, flags, at)]
        yield one[at], other[at], weight[piece][at]


def _joined(pieces: list[Array]) -> Array:
    """Return one column; its pieces are let go."""
    result = np.concatenate(pieces)
    pieces.clear()
    return result


ROWS_PER_BYTE = 4
"""Rows whose flags share a byte: 2.5 MB for ten million rows stay in a core's cache, where links name rows in any order."""
CHOSEN, RULED = 1, 2
"""Flags of a row: its community is chosen, and its node has rules."""


@numba.njit(nogil=True, cache=True)
def _chosen(membership, is_chosen, start, rows):  # type: ignore[no-untyped-def]
    """Write the rows from `start` on in chosen communities; returns their number."""
    put = 0
    for row in range(membership.shape[0]):
        rows[put] = start + row
        put += is_chosen[membership[row]]
    return put


@numba.njit(nogil=True, cache=True)
def _reaching(source, target, weight, membership, is_chosen, is_left, is_near):  # type: ignore[no-untyped-def]
    """Write which links reach a chosen community; returns those that stay.

    Links without an end in a community that is left are overwritten.
    """
    stay = 0
    for link in range(source.shape[0]):
        one, other = membership[source[link]], membership[target[link]]
        source[stay], target[stay], weight[stay] = source[link], target[link], weight[link]
        is_near[stay] = is_chosen[one] | is_chosen[other]
        stay += is_left[one] | is_left[other]
    return stay


@numba.njit(nogil=True, cache=True)
def _flag(membership, bits, is_chosen, flags):  # type: ignore[no-untyped-def]
    """Write the flags of all rows; zeros before."""
    for row in range(membership.shape[0]):
        own = CHOSEN * is_chosen[membership[row]] | RULED * (bits[row] != 0)
        flags[row // ROWS_PER_BYTE] |= np.uint8(own << 2 * (row % ROWS_PER_BYTE))


@numba.njit(nogil=True, cache=True)
def _flagged(source, target, bits, flags, at):  # type: ignore[no-untyped-def]
    """Write the links to be read; returns their number."""
    put = 0
    for link in range(source.shape[0]):
        # Unsigned numbers need no check for negative ones: half of the time.
        one, other = np.uint32(source[link]), np.uint32(target[link])
        a = flags[one // np.uint32(ROWS_PER_BYTE)] >> np.uint32(2) * (one % np.uint32(ROWS_PER_BYTE))
        b = flags[other // np.uint32(ROWS_PER_BYTE)] >> np.uint32(2) * (other % np.uint32(ROWS_PER_BYTE))
        is_read = ((a | b) & CHOSEN) != 0
        if not is_read and a & b & RULED:
            is_read = (bits[one] & bits[other]) != 0
        # Written in any case: no processor predicts which links are read.
        at[put] = link
        put += is_read
    return put
