-- The floor: four bare joins of the same files, results to Parquet; no explanations, no assignment.
COPY (SELECT l.id AS l, r.id AS r FROM (SELECT id, currency, amount_minor, unnest(refs) AS ref FROM left_file) l
      JOIN (SELECT id, currency, amount_minor, unnest(refs) AS ref FROM right_file) r
      ON l.ref.strong AND r.ref.strong AND l.ref.value = r.ref.value AND l.currency = r.currency
      AND l.amount_minor = r.amount_minor) TO '{out}/floor_1.parquet' (FORMAT parquet);
COPY (SELECT l.id AS l, r.id AS r
      FROM (SELECT id, currency, amount_minor, day, regexp_replace(upper(unnest(refs).value), '[^A-Z0-9]', '', 'g') AS norm FROM left_file) l
      JOIN (SELECT id, currency, amount_minor, day, regexp_replace(upper(unnest(refs).value), '[^A-Z0-9]', '', 'g') AS norm FROM right_file) r
      ON l.norm = r.norm AND l.currency = r.currency AND abs(l.amount_minor - r.amount_minor) * 20 <= abs(l.amount_minor)
      AND r.day BETWEEN l.day - 5 AND l.day + 5) TO '{out}/floor_2.parquet' (FORMAT parquet);
COPY (SELECT m.batch, r.id AS r, m.total
      FROM (SELECT batch, currency, sum(amount_minor) AS total FROM left_file WHERE batch <> '' GROUP BY ALL) m
      JOIN (SELECT id, currency, amount_minor, unnest(refs) AS ref FROM right_file) r
      ON r.ref.value = m.batch AND r.currency = m.currency AND r.amount_minor = m.total)
      TO '{out}/floor_3.parquet' (FORMAT parquet);
-- Legs without references only: of all legs, round amounts of one day would make 40 million pairs a million.
COPY (SELECT l.id AS l, r.id AS r FROM left_file l JOIN right_file r
      ON l.currency = r.currency AND l.amount_minor = r.amount_minor AND l.day = r.day
      WHERE l.batch = '' AND len(l.refs) = 0 AND len(r.refs) = 0)
      TO '{out}/floor_4.parquet' (FORMAT parquet);
