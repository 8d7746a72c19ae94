"""How facts leave the database: written with the fact, drained to DynamoDB, published from there."""
