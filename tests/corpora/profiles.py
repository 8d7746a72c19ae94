"""Profiles for the corpora's CSV files, and how many rows of each must be read."""

from __future__ import annotations

from typing import Any

_BANKRECON = {
    "delimiter": ";",
    "account_column": "cuenta",
    "currency_column": "moneda",
    "amounts": {"amount": "monto", "thousands_mark": ".", "decimal_mark": ","},
    "dates": {
        "occurred": "fecha_operacion",
        "value": "fecha_contable",
        "formats": ["%d-%m-%Y", "%d/%m/%Y"],
        "zone": "America/Santiago",
    },
    "description_columns": ["descripcion"],
    "references": [{"column": "referencia", "type": "text"}],
}
_EXPECTED_MOVES = {
    "side": "internal",
    "currency_column": "moneda",
    "amounts": {"amount": "monto", "thousands_mark": ""},
    "dates": {"occurred": "fecha"},
    "id_columns": ["id"],
    "description_columns": ["descripcion"],
    "name_column": "tercero",
}
_CIVICPAY = {
    "side": "psp",
    "currency_column": "currency",
    "amounts": {
        "amount": "amount",
        "direction": "direction",
        "credit_values": ["inbound"],
        "debit_values": ["outbound"],
        "thousands_mark": "",
    },
    "dates": {"occurred": "payment_date"},
    "id_columns": ["payment_id"],
    "name_column": "counterparty",
    "references": [{"column": "reference_id", "type": "text"}],
    "batch_column": "file_id",
}

#: File -> profile; the rows that the expectation counts must all be read.
PROFILES: dict[str, dict[str, Any]] = {
    "bank/csv/fjacquet__camt-csv/viseca.csv": {
        "name": "viseca",
        "account_column": "CardId",
        "currency_column": "Currency",
        "amounts": {"amount": "Amount", "negated": True, "thousands_mark": ""},
        "dates": {
            "occurred": "Date",
            "value": "ValutaDate",
            "formats": ["%Y-%m-%d %H:%M:%S"],
            "zone": "Europe/Zurich",
        },
        "id_columns": ["TransactionId"],
        "description_columns": ["Details"],
        "name_column": "MerchantName",
    },
    "bank/csv/sebastienrousseau__bankstatementparser/csv_spanish_headers.csv": {
        "name": "spanish",
        "delimiter": ";",
        "account_column": "Cuenta",
        "currency_column": "Moneda",
        "amounts": {"amount": "Importe", "decimal_mark": ",", "thousands_mark": "."},
        "dates": {"occurred": "Fecha", "zone": "Europe/Madrid"},
        "description_columns": ["Concepto"],
        "references": [{"column": "Referencia"}],
    },
    "bank/csv/sebastienrousseau__bankstatementparser/sample_statement.csv": {
        "name": "sample",
        "account_column": "Account",
        "currency_column": "Currency",
        "amounts": {"amount": "Amount", "balance": "Balance"},
        "dates": {"occurred": "Date"},
        "description_columns": ["Description"],
        "references": [{"column": "Reference"}],
    },
    "recon/bankrecon/pypi__bankrecon/csv__banco_sucio.csv": {"name": "banco", **_BANKRECON},
    "recon/bankrecon/pypi__bankrecon/examples__banco_ejemplo.csv": {"name": "banco", **_BANKRECON},
    "recon/bankrecon/pypi__bankrecon/examples__movimientos_esperados.csv": {
        "name": "esperados",
        **_EXPECTED_MOVES,
    },
    "recon/bankrecon/pypi__bankrecon/csv__esperados_sucio.csv": {
        "name": "esperados",
        **_EXPECTED_MOVES,
    },
    "recon/civicpay/pypi__civicpay/examples__sample_payment_file.csv": {
        "name": "payments",
        **_CIVICPAY,
    },
    "recon/civicpay/pypi__civicpay_generated/seed42_payments.csv": {
        "name": "payments",
        **_CIVICPAY,
    },
    "recon/civicpay/pypi__civicpay_generated/seed42_ledger.csv": {
        "name": "ledger",
        "side": "internal",
        "account_column": "account_id",
        "currency_column": "currency",
        "amounts": {"amount": "amount", "direction": "transaction_type", "thousands_mark": ""},
        "dates": {"occurred": "posting_date", "value": "value_date"},
        "id_columns": ["transaction_id"],
        "description_columns": ["description"],
        "references": [{"column": "reference_id", "type": "text"}],
    },
}
