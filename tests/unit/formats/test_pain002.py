"""Payment status reports."""

from __future__ import annotations

import pytest

from pardna.formats import pain002, registry
from pardna.formats.model import PaymentStatus
from pardna.runtime.errors import UnreadableFile
from tests.support.formats import BANK

REPORT = """<?xml version="1.0"?>
<p:Document xmlns:p="urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}"><p:CstmrPmtStsRpt>
<p:OrgnlGrpInfAndSts><p:OrgnlMsgId>PDN-R01</p:OrgnlMsgId><p:GrpSts>PART</p:GrpSts></p:OrgnlGrpInfAndSts>
<p:OrgnlPmtInfAndSts><p:OrgnlPmtInfId>P1</p:OrgnlPmtInfId>
<p:TxInfAndSts><p:OrgnlInstrId>I1</p:OrgnlInstrId><p:OrgnlEndToEndId>E1</p:OrgnlEndToEndId>
<p:TxSts>ACSC</p:TxSts></p:TxInfAndSts>
<p:TxInfAndSts><p:OrgnlEndToEndId>E2</p:OrgnlEndToEndId><p:TxSts>RJCT</p:TxSts>
<p:StsRsnInf><p:Rsn><p:Cd>AC04</p:Cd></p:Rsn><p:AddtlInf>account
closed</p:AddtlInf></p:StsRsnInf></p:TxInfAndSts>
</p:OrgnlPmtInfAndSts></p:CstmrPmtStsRpt></p:Document>"""


@pytest.mark.parametrize("version", ["03", "10", "14"])
def test_group_and_payments_are_read(version: str) -> None:
    data = REPORT.format(version=version).encode()
    assert registry.detect(data) == "pain.002"
    assert registry.parse(data, BANK).statuses == (
        PaymentStatus("PDN-R01", "PART"),
        PaymentStatus("PDN-R01", "ACSC", "E1", "I1", "P1"),
        PaymentStatus("PDN-R01", "RJCT", "E2", "", "P1", "AC04", "account closed"),
    )


def test_another_document_is_refused() -> None:
    with pytest.raises(UnreadableFile):
        pain002.read(b"<Document/>", BANK)


def test_a_source_that_sends_another_format_than_it_does_is_refused() -> None:
    with pytest.raises(UnreadableFile, match=r"format\.unexpected"):
        registry.parse(REPORT.format(version="03").encode(), BANK, expected="camt")
