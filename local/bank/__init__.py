"""The simulated bank: two banks behind one SFTP server, as a company meets them.

Statements and status reports lie in `out/`, payment files go to `in/` and end in `done/`. What happens
at the bank (a member's transfer, the end of a day, a fault) is decided over a small HTTP port on the
loopback address. The bank speaks public file formats only (ISO 20022, MT940) and shares no code with
the product, so that a mistake in one is seen by the other.
"""
