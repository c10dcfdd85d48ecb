"""A custom component of a declarative Airbyte source: the template language would take a millisecond a field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.declarative.transformations import RecordTransformation

NULLABLE = ("client_order_ref", "commitment_date", "origin")


@dataclass
class FalseIsNull(RecordTransformation):
    def transform(
        self,
        record: dict[str, Any],
        config: Mapping[str, Any] | None = None,  # noqa: ARG002  the CDK's signature
        stream_state: Mapping[str, Any] | None = None,  # noqa: ARG002  their signature
        stream_slice: Mapping[str, Any] | None = None,  # noqa: ARG002  their signature
    ) -> None:
        for name in NULLABLE:
            if record[name] is False:
                record[name] = None
