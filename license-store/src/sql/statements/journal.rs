//! SQL on the journal.

statements! {
    JournalStatements {
        /// See [`Dialect::RECORD`](crate::sql::Dialect::RECORD).
        record: D::RECORD,
        /// Returns a row if a validation waits to be compacted.
        any: "SELECT id FROM journal LIMIT 1",
        /// Returns a row if there is one with an id up to `$1`.
        any_up_to: "SELECT id FROM journal WHERE id <= $1 LIMIT 1",
        newest: "SELECT CAST(COALESCE(MAX(id), 0) AS BIGINT) AS id FROM journal",
        count_validations: "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS n FROM journal",
        count_rejected: "SELECT COUNT(*) AS n FROM journal_rejected",
        /// The ids and sizes of the oldest `$1` rows.
        oldest: "SELECT id, size FROM journal ORDER BY id LIMIT $1 + 0",
        /// The rows from the id `$1` to the id `$2`.
        range: "SELECT id, entries FROM journal WHERE id BETWEEN $1 AND $2 ORDER BY id",
        delete: format!(
            "DELETE FROM journal WHERE id IN (SELECT #0 FROM {})",
            D::items(1)
        ),
        /// Copies a row to `journal_rejected`.
        reject:
            "INSERT INTO journal_rejected (id, at, size, entries, reason) \
             SELECT id, at, size, entries, $2 FROM journal WHERE id = $1",
        /// Deletes writers that sent nothing for the week before the heartbeat of the clock. No batch is
        /// repeated after so long. The latest writer is no measure: its clock may be wrong.
        prune_writers: "DELETE FROM writers WHERE at < (SELECT heartbeat FROM clock) - 604800000000",
    }
}
