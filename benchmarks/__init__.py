"""What is measured: `make bench`. The committed figures are in `baseline.json`."""
