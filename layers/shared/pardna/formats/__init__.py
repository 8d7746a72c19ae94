"""One module per wire format: exact bytes in, canonical transactions out. Pure: no I/O, no clock."""
