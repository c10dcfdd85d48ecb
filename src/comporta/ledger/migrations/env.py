"""How Alembic runs inside Comporta: on a connection that the ledger opened, in one transaction.

It is never run from a shell; ``ledger.schema.migrate`` hands the connection over in the attributes.
"""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table="cmp_schema_version",
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
