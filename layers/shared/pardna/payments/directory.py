"""Paying banks and card accounts, from the profiles of sources in the directory table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pardna.payments.model import PayingBank, SftpAddress
from pardna.runtime import keys
from pardna.runtime.errors import InvalidInput, NotFound


class DynamoSourceProfiles:
    """`PayingBanks`, and the secret's name of a card account."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def paying_bank(self, tenant_id: str, source_id: str) -> PayingBank:
        """See `PayingBanks`."""
        profile = self._profile(tenant_id, source_id)
        try:
            at = profile["sftp"]
            bank = PayingBank(
                source_id=source_id,
                account=account_number(str(profile["account"])),
                currency=str(profile["currency"]),
                holder=str(profile.get("holder") or tenant_id),
                bic=str(profile.get("bic") or ""),
                sftp=SftpAddress(
                    host=str(at["host"]),
                    port=int(at["port"]),
                    user=str(at["user"]),
                    host_key=str(at["host_key"]),
                    secret_id=str(at["secret_id"]),
                    in_dir=str(at["in_dir"]),
                    done_dir=str(at["done_dir"]),
                ),
            )
        except (KeyError, TypeError, ValueError):
            raise InvalidInput("payment.bank_profile", "this source cannot send payments") from None
        return bank

    def secret_id(self, tenant_id: str, source_id: str) -> str:
        """The name of the source's secret; raises NotFound when there is no such source."""
        return str(self._profile(tenant_id, source_id).get("secret_id", ""))

    def _profile(self, tenant_id: str, source_id: str) -> Mapping[str, Any]:
        pk, sk = keys.source(tenant_id, source_id)
        answer = self._client.get_item(
            TableName=self._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        if "Item" not in answer:
            raise NotFound("payment.no_bank", "there is no such source")
        profile: Mapping[str, Any] = json.loads(answer["Item"]["profile"]["S"])
        return profile


def account_number(account: str) -> str:
    """The number alone, of ``ncb:404385912`` as of ``404385912``."""
    return account.rpartition(":")[2]
