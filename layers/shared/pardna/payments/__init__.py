"""Money out and money in by order: payment files to banks, charges on cards. Knows no circles."""
