"""What reading and recording money data costs, beside the bare parser in the same run."""
