"""The report as one HTML page: self-contained, no scripts, readable on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterable

from pardna.reporting import words
from pardna.reporting.markup import Child, Markup, tag, trusted
from pardna.reporting.model import (
    BreakLine,
    ContributionLine,
    DrawLine,
    Leg,
    MatchLine,
    RailPayment,
    RoundReport,
)
from pardna.reporting.page_parts import chip, listed, section, table
from pardna.reporting.page_style import CSS

#: Nothing is loaded and nothing runs, whatever a text might smuggle in.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(report: RoundReport) -> bytes:
    """The page's bytes in UTF-8; equal reports give equal bytes."""
    title = f"{report.circle_name}: round {report.round_number}"
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            tag("meta", name="referrer", content="no-referrer"),
            tag("title", f"{title} · Pardna"),
            tag("style", trusted(CSS)),
        ),
        tag(
            "body",
            tag("a", "Skip to the report", class_="skip", href="#report"),
            _header(report),
            tag(
                "main",
                _contributions(report),
                _matches(report),
                _open(report),
                _ledger(report),
                _draw(report),
                id="report",
            ),
            _footer(report),
        ),
        lang="en-JM",
    )
    return f"<!DOCTYPE html>\n{page}\n".encode()


def _header(report: RoundReport) -> Markup:
    opened = [b for b in report.breaks if b.status not in ("resolved", "closed")]
    unbalanced = [b for b in report.trial_balances if b.difference.amount_minor]
    levels = sorted({match.level for match in report.matches})
    facts = [
        ("Paid in", str(report.paid), f"of {report.due} due"),
        ("The draw", *_draw_fact(report.draw)),
        ("Matched", f"{len(report.matches)}", f"groups, levels {listed(map(str, levels))}"),
        ("Open", f"{len(opened)}", "see the reason below" if opened else "nothing is open"),
        (
            "Trial balance",
            "Does not balance" if unbalanced else "Zero",
            "in every currency" if not unbalanced else listed(b.currency for b in unbalanced),
        ),
    ]
    links = [
        ("paid", "Who paid"),
        ("matched", "What matched"),
        ("open", "What is open"),
        ("ledger", "The ledger"),
        ("draw", "The draw"),
    ]
    return tag(
        "header",
        tag("p", "Pardna · round report", class_="eyebrow"),
        tag("h1", f"{report.circle_name}, round {report.round_number} of {report.rounds_count}"),
        tag(
            "p",
            chip(words.word(report.status), report.status),
            f" Hands due {words.day(report.due_on)} · {report.currency}"
            f" · as of {words.moment(report.as_of)}, Jamaica time",
            class_="quiet",
        ),
        tag(
            "dl",
            *(
                tag("div", tag("dt", name), tag("dd", value, tag("small", note)))
                for name, value, note in facts
            ),
            class_="facts",
        ),
        tag(
            "nav",
            tag("ul", *(tag("li", tag("a", text, href=f"#{to}")) for to, text in links)),
            aria_label="Parts of the report",
        ),
    )


def _draw_fact(draw: DrawLine | None) -> tuple[str, str]:
    if draw is None:
        return "–", "not instructed yet"
    return str(draw.amount), f"to {draw.recipient}: {words.word(draw.status).lower()}"


def _contributions(report: RoundReport) -> Markup:
    rows = [cells for line in report.contributions for cells in _contribution_rows(line)]
    return section(
        "paid",
        "Who paid, by which rail, and when",
        "A hand counts as paid when the money's own record has been matched to it.",
        table(
            "Hands of this round",
            ("Member", "Hand", "Due", "Rail", "Paid", "Received", "Reference", "Status"),
            rows,
            numbers={2, 4},
            foot=(("Together", "", str(report.due), "", str(report.paid), "", "", "")),
        ),
    )


def _contribution_rows(line: ContributionLine) -> list[list[Child]]:
    status = chip(words.word(line.status), line.status)
    head: list[Child] = [line.member, line.slot, str(line.amount)]
    if not line.payments:
        return [[*head, "–", "–", "–", "–", status]]
    return [
        [*(head if first else ["", "", ""]), *_payment_cells(payment), status if first else ""]
        for first, payment in ((at == 0, one) for at, one in enumerate(line.payments))
    ]


def _payment_cells(payment: RailPayment) -> list[Child]:
    return [
        payment.rail,
        str(payment.amount),
        words.moment_or_day(payment.paid_at, payment.paid_on),
        tag("code", payment.reference),
    ]


def _matches(report: RoundReport) -> Markup:
    parts: list[Child] = []
    for level in sorted({match.level for match in report.matches}):
        of_level = [match for match in report.matches if match.level == level]
        parts.append(tag("h3", f"{words.LEVELS.get(level, f'Level {level}')} ({len(of_level)})"))
        parts.append(tag("p", f"Here {words.LEVEL_MEANINGS.get(level, '')}.", class_="quiet"))
        parts.extend(_match(match) for match in of_level)
    if not parts:
        parts.append(tag("p", "Nothing has been matched yet."))
    return section(
        "matched",
        "What matched, at which level, and why",
        "A match joins records of two sides that are the same money.",
        *parts,
    )


def _match(match: MatchLine) -> Markup:
    between = words.PAIRS.get(match.pair, match.pair)
    notes = [tag("p", match.why)]
    if match.variance is not None and match.variance.amount_minor:
        notes.append(tag("p", f"The difference of {match.variance} was posted by the rule."))
    confidence = f" · confidence {match.confidence}" if match.confidence else ""
    return tag(
        "article",
        tag("h4", f"{between[:1].upper()}{between[1:]}", tag("code", match.match_id)),
        _legs(match.legs),
        *notes,
        tag(
            "p",
            " · ".join((f"Rule {match.rule}{confidence}", *match.weighed)),
            class_="quiet small",
        ),
        class_="card",
    )


def _legs(legs: Iterable[Leg]) -> Markup:
    return tag(
        "ul",
        *(
            tag(
                "li",
                tag(
                    "span",
                    f"{words.SIDES.get(leg.side, leg.side)}: {words.word(leg.kind).lower()} ",
                    tag("code", leg.name),
                ),
                tag("span", str(leg.amount), class_="number"),
            )
            for leg in legs
        ),
        class_="legs",
    )


def _open(report: RoundReport) -> Markup:
    found = [_break(one) for one in report.breaks] or [
        tag("p", "Nothing is open: every record has found its counterpart.")
    ]
    return section(
        "open",
        "What is open",
        "A break is a record that could not be matched, with the reason. It stays open until a"
        " person or a later record resolves it.",
        *found,
    )


def _break(found: BreakLine) -> Markup:
    meaning = words.BREAKS.get(found.break_class, words.word(found.break_class))
    since = f" · since {found.since}" if found.since else ""
    return tag(
        "article",
        tag(
            "h4",
            tag("span", chip(found.break_class, "late"), f" {meaning}"),
            tag("span", str(found.amount), class_="number"),
        ),
        _legs(found.legs),
        tag("p", tag("strong", "Reason: "), found.reason),
        tag(
            "p",
            f"{words.word(found.status)} · severity {found.severity}{since} · ",
            tag("code", found.break_id),
            class_="quiet",
        ),
        class_="card open",
    )


def _ledger(report: RoundReport) -> Markup:
    trial: list[list[Child]] = [
        [
            balance.currency,
            str(balance.debits),
            str(balance.credits),
            str(balance.difference),
            chip("Balances", "closed")
            if balance.difference.amount_minor == 0
            else chip("Does not balance", "failed"),
        ]
        for balance in report.trial_balances
    ]
    accounts: list[list[Child]] = [
        [tag("code", a.code), words.word(a.type), str(a.debits), str(a.credits), str(a.balance)]
        for a in report.accounts
    ]
    return section(
        "ledger",
        "What the ledger says",
        "Every movement is in the books twice, once as a debit and once as a credit.",
        table(
            "Trial balance of the whole house",
            ("Currency", "Debits", "Credits", "Difference", ""),
            trial,
            numbers={1, 2, 3},
        ),
        tag("h3", "Clearing accounts"),
        _clearing(report),
        tag("h3", f"Accounts in {report.currency}"),
        table(
            "Balances on each account's normal side",
            ("Account", "Type", "Debits", "Credits", "Balance"),
            accounts,
            numbers={2, 3, 4},
        ),
    )


def _clearing(report: RoundReport) -> Markup:
    if not report.open_items:
        return tag("p", "All clearing accounts are zero: nothing is between two sides.")
    rows: list[list[Child]] = [
        [
            tag("code", item.account),
            item.what,
            str(item.amount),
            item.explained_by or chip("Not explained", "failed"),
        ]
        for item in report.open_items
    ]
    caption = (
        "What is not zero, and the open break that explains it"
        if not report.unexplained
        else f"{len(report.unexplained)} of these are not explained by an open break"
    )
    return table(caption, ("Account", "Record", "Amount", "Explained by"), rows, numbers={2})


def _draw(report: RoundReport) -> Markup:
    draw = report.draw
    if draw is None:
        return section("draw", "The draw", "The draw of this round has not been computed yet.")
    return section(
        "draw",
        "The draw",
        "Sent, credited and confirmed are different things, and each is shown as such.",
        tag(
            "p",
            tag("strong", str(draw.amount)),
            f" to {draw.recipient} ",
            chip(words.word(draw.status), draw.status),
            *((" payment ", tag("code", draw.end_to_end_id)) if draw.end_to_end_id else ()),
        ),
        tag(
            "ol",
            *(
                tag(
                    "li",
                    tag("strong", step.title),
                    " · ".join(
                        part
                        for part in (
                            step.by,
                            words.moment_or_day(step.at, step.on) if step.at or step.on else "",
                            step.detail,
                        )
                        if part
                    ),
                )
                for step in draw.steps
            ),
            class_="steps",
        ),
    )


def _footer(report: RoundReport) -> Markup:
    return tag(
        "footer",
        tag(
            "p",
            "Made from the ledger, the match state and the bank's own records. The same facts give"
            " the same page, byte for byte. Circle ",
            tag("code", report.circle_id),
            ".",
        ),
    )
