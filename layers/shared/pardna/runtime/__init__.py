"""What every capability runs on: settings, logs, clients, errors, limits, keys, envelopes."""
