//! SQL on the heartbeat of the clock.

statements! {
    ClockStatements {
        heartbeat: "SELECT heartbeat FROM clock",
        /// Moves the heartbeat from `$1` to `$2`, if it is still `$1`.
        move_heartbeat:
            "UPDATE clock SET heartbeat = $2 WHERE heartbeat IS NOT DISTINCT FROM $1 RETURNING heartbeat",
    }
}
