# ruff: noqa: S608  (statements are built from names and integers of ours; values are parameters)
"""The engine's levels, one after the other, on DuckDB tables (`engine_sql`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import duckdb

from pardna.matching import engine_sql as sql
from pardna.matching.assignment import Edge, assign
from pardna.matching.model import IDENTITIES, Pair
from pardna.matching.rules import BusinessDays, PairRules, Rules

_CHUNK = 50_000
_DECIDED = (
    "(l, r, level, rule, confidence, variance, diff, type, value, other, days, rival, margin)"
)


class Engine:
    """One run over one pair in a database of its own. Use `match`, or `bulk` for Parquet."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, rules: Rules, pair: Pair, reference_date: date
    ) -> None:
        self.con = con
        self.rules = rules
        self.pair = pair
        self.own: PairRules = rules.of(pair)
        self.days = BusinessDays(rules.closed_days)
        self.today = self.days.ordinal(reference_date)
        self.caps: dict[str, int] = {}

    # ---------------------------------------------------------------- input

    def prepare(self) -> None:
        """Number the legs of ``raw_legs_*`` and ``raw_refs_*`` and make the tables of `engine_sql`."""
        days = self.con.sql(
            "SELECT day FROM raw_legs_l UNION SELECT day FROM raw_legs_r"
        ).fetchall()
        self.con.execute("CREATE TABLE calendar (day DATE, ordinal INTEGER)")
        self.insert("calendar", ["DATE", "INTEGER"], [(d, self.days.ordinal(d)) for (d,) in days])
        types = list(self.own.identity_types or IDENTITIES[self.pair])
        for side in ("l", "r"):
            self.con.execute(sql.NUMBER_LEGS.format(side=side))
            self.con.execute(
                sql.NUMBER_REFERENCES.format(side=side), {"soft": list(self.own.soft_types)}
            )
            self.con.execute(sql.IDENTITIES.format(side=side), {"types": types})
            self.con.execute(
                sql.CROWDED_IDENTITIES.format(side=side), {"cap": self.own.candidates_max}
            )
            self.con.execute(f"CREATE TABLE free_{side} AS SELECT leg FROM legs_{side}")
        self.con.execute(
            "CREATE TABLE decisions (l BIGINT, r BIGINT, level INTEGER, rule VARCHAR,"
            " confidence INTEGER, variance VARCHAR, diff BIGINT, type VARCHAR, value VARCHAR,"
            " other VARCHAR, days INTEGER, rival BIGINT, margin INTEGER, proposed BOOLEAN DEFAULT false)"
        )
        self.con.execute(
            "CREATE TABLE findings (class VARCHAR, code VARCHAR, l BIGINT, r BIGINT,"
            " value VARCHAR, number BIGINT, other BIGINT)"
        )
        self.con.execute("CREATE TABLE waiting (l BIGINT, r BIGINT)")
        self.con.execute("CREATE TABLE extra_members (l BIGINT, side VARCHAR, leg BIGINT)")
        self.con.execute(sql.IDENTITY_EDGES, {"types": types})
        self.con.execute(sql.CONTRADICTED.format(edges="identity_edges"))
        for side in ("l", "r"):
            self._cap(
                f"identities_shared_by_too_many_{side}", f"SELECT count(*) FROM crowded_{side}"
            )

    def _cap(self, name: str, query: str) -> None:
        [(found,)] = self.con.sql(query).fetchall()
        if found:
            self.caps[name] = int(found)

    def insert(self, table: str, types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert Python rows, column by column (rows one by one would take minutes a million)."""
        columns = ", ".join(f"unnest(?::{type_}[])" for type_ in types)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            self.con.execute(
                f"INSERT INTO {table} SELECT {columns}",
                [list(column) for column in zip(*chunk, strict=True)],
            )

    # ---------------------------------------------------------------- levels

    def steps(self) -> tuple[Callable[[], None], ...]:
        """All levels in their order, then what is left over."""
        return (
            self.reversals,
            self.level_1,
            self.level_3,
            self.level_2,
            self.reference_sums,
            self.identity_findings,
            self.level_4,
            self.leftovers,
        )

    def run(self) -> None:
        """All steps."""
        for step in self.steps():
            step()

    def reversals(self) -> None:
        """What was charged and given back in full: a payment made twice pays nobody's hand."""
        self.con.execute(sql.REVERSALS)
        gone = "SELECT charge FROM reversals UNION ALL SELECT refund FROM reversals"
        self.con.execute(f"DELETE FROM identity_edges WHERE r IN ({gone})")
        self.con.execute(f"DELETE FROM free_r WHERE leg IN ({gone})")

    def level_1(self) -> None:
        """Equal identity, exact amount, within the window."""
        window = self.own.identity_window
        self.con.execute(
            "CREATE TABLE candidates AS SELECT l, r, abs(days) AS cost FROM identity_edges"
            f" WHERE exact AND days BETWEEN {-window.before} AND {window.after}"
        )
        self._choose()
        self.con.execute(
            f"INSERT INTO decisions {_DECIDED} SELECT c.l, c.r, 1, 'identity', 10000, '', 0, e.type, e.value,"
            " e.value, e.days, NULL, NULL FROM chosen c JOIN identity_edges e ON e.l = c.l AND e.r = c.r"
        )
        self._drop_decided()
        # The same identity again, on the side of a leg that has found its counterpart.
        for side, other in (("l", "r"), ("r", "l")):
            self.con.execute(
                f"INSERT INTO findings SELECT 'DUPLICATE', 'duplicate', "
                f"{'e.l, NULL' if side == 'l' else 'NULL, e.r'}, min(e.type || ' ' || e.value), "
                f"min(d.{side}), NULL FROM identity_edges e JOIN decisions d ON d.{other} = e.{other} "
                f"JOIN free_{side} f ON f.leg = e.{side} WHERE NOT e.unknown GROUP BY e.{side}"
            )
        self._drop_found()
        # Later levels ask only about legs that are still free.
        self.con.execute(
            "CREATE OR REPLACE TABLE identity_edges AS SELECT e.* FROM identity_edges e"
            " WHERE l IN (SELECT leg FROM free_l) OR r IN (SELECT leg FROM free_r)"
        )

    def level_2(self) -> None:
        """A normalised reference agrees, or is one edit away; the amount is within tolerance."""
        window = self.own.rule_window
        self.con.execute(
            "CREATE TABLE single_l AS SELECT leg FROM free_l JOIN legs_l USING (leg)"
            " WHERE batch = '' AND kind <> 'payout'"
        )
        self.con.execute(
            sql.RULE_EDGES.format(cuts=sql.CUTS, fee=self._fee_sql()),
            {
                "soft": list(self.own.soft_types),
                "cap": self.own.candidates_max,
                "before": window.before,
                "after": window.after,
            },
        )
        self.con.execute(sql.CONTRADICTED.format(edges="edges"))
        self.con.execute(
            sql.RULE_AMOUNTS,
            {"tolerance": self.own.tolerance_minor, "tolerance_bp": self.own.tolerance_bp},
        )
        self.con.execute(
            "CREATE OR REPLACE TABLE candidates AS"
            " SELECT l, r, (10000 - confidence) * 1000 + abs(days) AS cost FROM ruled"
        )
        self._choose()
        self.con.execute(
            f"INSERT INTO decisions {_DECIDED} SELECT c.l, c.r, 2, CASE WHEN e.edits = 0 THEN 'reference' ELSE"
            " 'reference_one_edit' END, e.confidence, e.variance, e.diff, 'reference', e.value,"
            " e.other, e.days, c.rival, (c.rival_cost - c.cost) // 1000"
            " FROM chosen c JOIN ruled e ON e.l = c.l AND e.r = c.r WHERE NOT c.contested"
        )
        self.con.execute(
            "INSERT INTO findings SELECT 'AMBIGUOUS', 'ambiguous', c.l, NULL, e.value, c.r, c.rival"
            " FROM chosen c JOIN ruled e ON e.l = c.l AND e.r = c.r WHERE c.contested"
        )
        self._drop_decided()
        self._drop_found()

    def level_3(self) -> None:
        """A payout, its members and its bank line, proved in signed integers."""
        for statement in (sql.PAYOUT_NAMES, sql.SETTLEMENT_MEMBERS, sql.SETTLEMENTS):
            self.con.execute(statement)
        late = f"{self.today} - ordinal > {self.own.waiting_days}"
        self.con.execute(
            f"CREATE TABLE judged AS SELECT *, {late} AS late, CASE"
            " WHEN line IS NOT NULL AND line_basis <> -basis THEN 'bank_differs'"
            " WHEN members = 0 THEN 'members_unknown'"
            " WHEN unknown > 0 THEN 'fees_unknown'"
            " WHEN total + basis <> 0 THEN 'members_differ'"
            " WHEN line IS NULL THEN 'no_bank_line' ELSE 'proved' END AS verdict FROM settlements"
        )
        # Two payouts that claim one line: the name is nobody's; neither is decided by it.
        self.con.execute(
            "UPDATE judged SET verdict = 'line_shared' WHERE line IN"
            " (SELECT line FROM settlements WHERE line IS NOT NULL GROUP BY line HAVING count(*) > 1)"
        )
        self.con.execute(
            f"INSERT INTO decisions {_DECIDED} SELECT leg, line, 3, 'settlement', 10000, '', 0, 'payout', name,"
            " members::VARCHAR, days, NULL, NULL FROM judged WHERE verdict = 'proved'"
        )
        self.con.execute(
            "INSERT INTO findings SELECT CASE verdict WHEN 'no_bank_line' THEN 'MISSING_BANK'"
            " WHEN 'members_unknown' THEN 'MISSING_PSP' WHEN 'fees_unknown' THEN 'FEE_VARIANCE'"
            " WHEN 'line_shared' THEN 'AMBIGUOUS' ELSE 'AMOUNT_MISMATCH' END, verdict, leg,"
            " CASE WHEN leg = min(leg) OVER (PARTITION BY line) THEN line END, name,"
            " CASE verdict WHEN 'members_differ' THEN total + basis WHEN 'bank_differs'"
            " THEN line_basis + basis ELSE -basis END, members FROM judged"
            " WHERE verdict IN ('bank_differs', 'members_differ', 'line_shared')"
            " OR (late AND verdict <> 'proved')"
        )
        self.con.execute(
            "INSERT INTO waiting SELECT leg, line FROM judged WHERE NOT late"
            " AND verdict IN ('no_bank_line', 'members_unknown', 'fees_unknown')"
        )
        # A second line under the name of a payout that has its line.
        self.con.execute(
            "INSERT INTO findings SELECT DISTINCT 'DUPLICATE', 'duplicate_line', NULL, b.leg,"
            " j.name, j.line, NULL FROM judged j JOIN payout_names n ON n.leg = j.leg"
            " JOIN refs_r b ON b.norm = n.norm AND b.currency = n.currency"
            " JOIN free_r f ON f.leg = b.leg WHERE j.verdict = 'proved' AND b.leg <> j.line"
        )
        self.con.execute(
            "DELETE FROM free_l WHERE leg IN (SELECT leg FROM judged UNION ALL"
            " SELECT member FROM settlement_members)"
        )
        self.con.execute(
            "DELETE FROM free_r WHERE leg IN (SELECT line FROM judged WHERE line IS NOT NULL)"
        )
        self._drop_found()

    def reference_sums(self) -> None:
        """One leg on one side and a few on the other, under one reference, come to the same."""
        window = self.own.rule_window
        self.con.execute(
            sql.REFERENCE_SUMS,
            {
                "soft": list(self.own.soft_types),
                "most": self.own.subset_max,
                "before": window.before,
                "after": window.after,
            },
        )
        self.con.execute(
            f"INSERT INTO decisions {_DECIDED} SELECT l[1], r[1], 3, 'reference_sum', 9700, '', 0,"
            " 'reference', norm, total::VARCHAR, days, NULL, NULL FROM sums"
        )
        self.con.execute(
            "INSERT INTO extra_members SELECT l[1], 'l', unnest(l[2:]) FROM sums"
            " UNION ALL SELECT l[1], 'r', unnest(r[2:]) FROM sums"
        )
        self._drop_decided()

    def level_4(self) -> None:
        """Amount and day agree, and references or names say more: mostly proposals.

        Decided alone only with a shared reference, from `automatic_bp` on, and far from the next.
        """
        window = self.own.rule_window
        self.con.execute("DROP TABLE edges")
        for side, only in (("l", "AND x.batch = '' AND x.kind <> 'payout'"), ("r", "")):
            self.con.execute(sql.PROBABLE_LEGS.format(side=side, only=only))
            self._cap(
                f"amounts_shared_by_too_many_{side}",
                f"SELECT count(*) FROM probable_{side} WHERE crowd > {self.own.candidates_max}",
            )
        self.con.execute(
            sql.PROBABLE_EDGES,
            {
                "soft": list(self.own.soft_types),
                "cap": self.own.candidates_max,
                "before": window.before,
                "after": window.after,
            },
        )
        self.con.execute(sql.CONTRADICTED.format(edges="edges"))
        self.con.execute(
            "CREATE TABLE probable AS SELECT l, r, 11000 - score AS cost FROM edges"
            f" WHERE score >= {self.own.propose_bp - 1_000}"
        )
        # Look-alikes that nothing tells apart are nobody's: what is left has one best counterpart.
        self.con.execute(sql.PROBABLE_TIES)
        self.con.execute(
            "CREATE OR REPLACE TABLE candidates AS SELECT p.* FROM probable p"
            " ANTI JOIN (SELECT l FROM ties WHERE l IS NOT NULL) USING (l)"
            " ANTI JOIN (SELECT r FROM ties WHERE r IS NOT NULL) USING (r)"
        )
        self._choose()
        self.con.execute(sql.PROBABLE_RIVALS)
        margin = "least(coalesce(v.rival_cost - c.cost, 10000), 10000)"
        alone = (
            f"e.reference > 0 AND e.score >= {self.own.automatic_bp}"
            f" AND {margin} >= {self.own.margin_bp}"
        )
        self.con.execute(
            "INSERT INTO decisions SELECT c.l, c.r, 4, 'probable', least(e.score, 9990), '', 0,"
            " CASE WHEN e.reference > 0 THEN 'reference' ELSE '' END, e.value, e.other, e.days,"
            f" v.rival, {margin}, NOT ({alone})"
            " FROM chosen c JOIN edges e ON e.l = c.l AND e.r = c.r"
            " LEFT JOIN rivals v ON v.l = c.l AND v.r = c.r"
            f" WHERE NOT c.contested AND e.score >= {self.own.propose_bp} AND {margin} > 0"
        )
        self._drop_decided()
        self.con.execute(
            "INSERT INTO findings SELECT 'AMBIGUOUS', 'lookalikes', t.l, NULL, '', min(p.cost),"
            " count(*) FROM ties t JOIN free_l f ON f.leg = t.l JOIN probable p ON p.l = t.l"
            f" GROUP BY t.l HAVING min(p.cost) <= {11_000 - self.own.propose_bp}"
        )
        self._drop_found()

    def identity_findings(self) -> None:
        """The same identity, but another amount or too far apart: contradicted, never scored."""
        window = self.own.identity_window
        self.con.execute(
            "CREATE OR REPLACE TABLE candidates AS SELECT l, r,"
            " CASE WHEN exact THEN 0 ELSE abs(diff) + 1 END AS cost FROM identity_edges"
            " JOIN free_l a ON a.leg = l JOIN free_r b ON b.leg = r WHERE NOT unknown"
        )
        self._choose()
        self.con.execute(
            "INSERT INTO findings SELECT CASE WHEN exact THEN 'TIMING' ELSE 'AMOUNT_MISMATCH' END,"
            " CASE WHEN exact THEN 'outside_window' ELSE 'amounts_differ' END, e.l, e.r,"
            f" e.type || ' ' || e.value, CASE WHEN exact THEN e.days ELSE e.diff END, {window.after}"
            " FROM chosen c JOIN identity_edges e ON e.l = c.l AND e.r = c.r"
        )
        self._drop_found()

    def leftovers(self) -> None:
        """Whatever nothing explains: missing when its time is over, else waiting."""
        for side, missing, wanted in (
            ("l", self.pair.right, True),
            ("r", self.pair.left, self.own.right_breaks),
        ):
            legs = "f.leg, NULL" if side == "l" else "NULL, f.leg"
            late = f"{self.today} - x.ordinal > {self.own.waiting_days}" if wanted else "false"
            member = "x.batch <> '' AND x.kind <> 'payout'" if side == "l" else "false"
            source = f"FROM free_{side} f JOIN legs_{side} x ON x.leg = f.leg"
            self.con.execute(
                f"INSERT INTO findings SELECT CASE WHEN {member} THEN 'MISSING_PSP' ELSE "
                f"'MISSING_{missing.value.upper()}' END, CASE WHEN {member} THEN 'payout_unknown' "
                f"ELSE 'missing' END, {legs}, x.batch, x.basis, {self.today} - x.ordinal "
                f"{source} WHERE {late}"
            )
            self.con.execute(f"INSERT INTO waiting SELECT {legs} {source} WHERE NOT ({late})")

    # ---------------------------------------------------------------- steps

    def _choose(self) -> None:
        """`candidates` (l, r, cost) -> `chosen` (l, r, cost, rival, rival_cost, contested)."""
        self.con.execute(
            "CREATE OR REPLACE TABLE degrees AS SELECT *, count(*) OVER (PARTITION BY l) AS dl,"
            " count(*) OVER (PARTITION BY r) AS dr FROM candidates"
        )
        self.con.execute(
            "CREATE OR REPLACE TABLE chosen AS SELECT l, r, cost::BIGINT AS cost,"
            " NULL::BIGINT AS rival, NULL::BIGINT AS rival_cost, false AS contested"
            " FROM degrees WHERE dl = 1 AND dr = 1"
        )
        left_over = self.con.sql("SELECT l, r, cost FROM degrees WHERE dl > 1 OR dr > 1").fetchall()
        picked, large = assign((Edge(*row) for row in left_over), self.own.component_max)
        if large:
            self.caps["components_too_large"] = self.caps.get("components_too_large", 0) + large
        rows = [
            (
                c.edge.left,
                c.edge.right,
                c.edge.cost,
                None if c.runner_up is None else c.runner_up[1],
                c.runner_up_cost,
                c.contested,
            )
            for c in picked
        ]
        self.insert("chosen", ["BIGINT"] * 5 + ["BOOLEAN"], rows)
        self.con.execute("DROP TABLE candidates")

    def _drop_decided(self) -> None:
        for side in ("l", "r"):
            self.con.execute(f"DELETE FROM free_{side} WHERE leg IN (SELECT {side} FROM decisions)")

    def _drop_found(self) -> None:
        for side in ("l", "r"):
            self.con.execute(
                f"DELETE FROM free_{side} WHERE leg IN "
                f"(SELECT {side} FROM findings WHERE {side} IS NOT NULL)"
            )

    def _fee_sql(self) -> str:
        """The fee that a schedule predicts for `x.basis`, as an expression; NULL without one."""
        cases = []
        for schedule in self.own.fees:
            tiers = " ".join(
                (f"WHEN x.basis <= {t.up_to_minor} " if t.up_to_minor else "WHEN true ")
                + f"THEN (x.basis * {t.bp} + 5000) // 10000 + {t.flat_minor}"
                for t in schedule.tiers
            )
            source = schedule.source.replace("'", "''")
            only = f" AND y.source = '{source}'" if source else ""
            currency = "".join(c for c in schedule.currency if c.isalnum())
            cases.append(
                f"WHEN x.currency = '{currency}'{only} AND x.basis > 0 THEN "
                f"greatest(CASE {tiers} ELSE 0 END, {schedule.minimum_minor})"
            )
        return f"CASE {' '.join(cases)} END" if cases else "NULL"
