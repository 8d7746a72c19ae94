"""Files on which the readers and the expectations differ, and why the readers are right.

A file leaves this list when the two agree again; the tests fail on a stale line as on a new
difference.
"""

_SOUND = "sound by itself: counts, hash and totals tie; in its repository it belongs to a set"
_NOT_WIRE = (
    "a library's own fixture: Stripe's amounts are integers, these are decimals, and flagged"
)

_NO_MONEY = "holds no movement of money, and no format that we read: refused with that reason"

KNOWN = {
    "bank/mt940/fruitl00p__php-mt940/Rabo__sample2": (
        "its balances have a decimal point where SWIFT wants a comma; the expectation stops there,"
        " we read the cents"
    ),
    "bank/mt940/railslove__cmxl/mt940-headers.txt": (
        "its closing balance has a decimal point; the expectation stops there, we read the cents"
    ),
    "bank/ofx/jseutter__ofxparse/fidelity-savings.ofx": (
        "amounts of four decimals: put aside with a reason, never rounded"
    ),
    "bad/nacha/moov-io__ach/issue1378__employers_test.txt": _SOUND,
    "bad/nacha/moov-io__ach/issue927__044f121c5da6ff398d22b6ca8679239a13270594.ach": _SOUND,
    "bad/nacha/moov-io__ach/issue927__2b5a940e6b5bcc9f2753d31ea6309d1f49b21891.ach": _SOUND,
    "bad/nacha/moov-io__ach/issue927__54fa1e16738209076a14548ff3dd061ef2e671a1.ach": _SOUND,
    "bad/nacha/moov-io__ach/issue927__a6ce094411be256f495f6135d5089b9d9533fa27.ach": _SOUND,
    "bad/nacha/moov-io__ach/issue927__bfd6b648c4b4e2d1581a0767740233f2c67cebea.ach": _SOUND,
    "psp/braintree_webhooks/pypi__braintree/TransactionDisbursed.json": (
        "the library's sample names no currency: flagged, never guessed"
    ),
    "psp/gocardless/gocardless__gocardless-pro-python/currency_exchange_rates.json": _NO_MONEY,
    "psp/gocardless/gocardless__gocardless-pro-python/mandates.json": _NO_MONEY,
    "psp/square/square__square-python-sdk/list-payout-entries-response.json": (
        "a generated sample: gross, fee and net of one entry are in tugrik, francs and platinum"
    ),
    "psp/worldpay_webhooks/alphagov__pay-connector/notification.xml": (
        "a template: its kind of journal and its date are placeholders, and flagged"
    ),
    "psp/stripe/dj-stripe__dj-stripe/dispute_ch_fakefakefakefake01.json": _NOT_WIRE,
    "psp/stripe/dj-stripe__dj-stripe/payout_custom_bank_account.json": _NOT_WIRE,
    "psp/stripe_webhooks/alphagov__pay-connector/"
    "charge_dispute_lost_with_multiple_balance_transactions.json": (
        "its second movement is flagged: 50 less a fee of 1 is not 50"
    ),
}

#: Sound files in an unusual encoding: they must read exactly as in plain UTF-8 with ordinary lines.
REWRITTEN = {
    "bad/derived_encoding/derived/mt940_cr_only.sta": ("latin-1", ("\r", "\n")),
    "bad/derived_encoding/derived/mt940_utf8_bom.sta": ("utf-8-sig", ("", "")),
    "bad/derived_encoding/derived/camt053_utf16.xml": ("utf-16", ("UTF-16", "UTF-8")),
}

#: Kinds that hold no file of a format that we read; each must still be refused with a reason.
FOREIGN = {
    "bank/pain": "payment orders and interbank statuses: we write the first, never get the second",
}
