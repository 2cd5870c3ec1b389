use super::*;

const DAY: i64 = 86_400;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
}

/// A node: its guard, and how far its wall clock is from the true time.
struct Node {
    guard: ClockGuard,
    offset: i64,
}

impl Node {
    fn new(offset: i64) -> Self {
        Self { guard: ClockGuard::default(), offset }
    }

    fn reading(&self, seconds: i64) -> ClockReading {
        let monotonic = Duration::from_secs((1_000_000 + seconds).try_into().unwrap());
        ClockReading { wall: at(seconds + self.offset), monotonic }
    }

    fn observe(&mut self, seconds: i64) -> bool {
        let reading = self.reading(seconds);
        self.guard.observe(reading)
    }

    /// Looks at a heartbeat, and moves it if it is due. Returns whether the clock is plausible.
    fn look(&mut self, seconds: i64, heartbeat: &mut Option<DateTime<Utc>>) -> bool {
        let reading = self.reading(seconds);
        if let Some(to) = self.guard.look(reading, *heartbeat) {
            *heartbeat = Some(to);
            self.guard.heartbeat_moved(to);
        }
        self.guard.is_plausible()
    }
}

#[test]
fn clock_is_compared_with_the_heartbeat_to_the_second() {
    let hours = 3_600;
    for (past, plausible) in [
        (0, true),
        (48 * hours, true),
        (48 * hours + 1, false),
        (1_500 * DAY, false),
        (-60, true),
        (-61, false),
        (-3_650 * DAY, false),
        // A machine whose clock starts in 1970.
        (-1_780_000_000, false),
    ] {
        let (mut node, before) = (Node::new(past), at(0));
        let mut heartbeat = Some(before);
        assert_eq!(node.look(0, &mut heartbeat), plausible, "{past} s after the heartbeat");
        assert!(plausible || heartbeat == Some(before), "an implausible clock moves no heartbeat");
    }
}

#[test]
fn new_database_takes_every_clock() {
    let (mut node, mut heartbeat) = (Node::new(-3_650 * DAY), None);
    assert!(!node.observe(0), "not before the first look");
    assert!(node.look(0, &mut heartbeat));
    assert_eq!(heartbeat, Some(at(-3_650 * DAY)));
}

#[test]
fn heartbeat_moves_once_an_hour() {
    let (mut node, mut heartbeat) = (Node::new(0), None);
    let mut moves = Vec::new();
    for minute in 0..=150 {
        let before = heartbeat;
        assert!(node.look(minute * 60, &mut heartbeat));
        if heartbeat != before {
            moves.push(minute);
        }
    }
    assert_eq!(moves, [0, 60, 120]);
}

#[test]
fn jump_while_running_is_noticed_between_looks() {
    for (jump, plausible) in [
        (0, true),
        (-60, true),
        (-61, false),
        (48 * 3_600, true),
        (48 * 3_600 + 1, false),
        (1_500 * DAY, false),
    ] {
        let (mut node, mut heartbeat) = (Node::new(0), None);
        node.look(0, &mut heartbeat);
        assert!(node.look(3_000, &mut heartbeat));
        node.offset = jump;
        assert_eq!(node.observe(3_010), plausible, "a jump of {jump} s");
        let before = heartbeat;
        assert_eq!(node.look(3_060, &mut heartbeat), plausible, "a jump of {jump} s");
        assert!(plausible || heartbeat == before);
        node.offset = 0;
        if !plausible {
            assert!(node.observe(3_070), "the jump of {jump} s was undone");
        }
    }
}

#[test]
fn implausible_clock_is_trusted_after_a_day_of_running() {
    for offset in [7 * DAY, -3_600, 1_500 * DAY] {
        let (mut node, mut heartbeat) = (Node::new(offset), Some(at(0)));
        for minute in 0..1_440 {
            assert!(!node.look(minute * 60, &mut heartbeat), "minute {minute}");
            assert_eq!(heartbeat, Some(at(0)));
        }
        assert!(node.look(DAY, &mut heartbeat));
        assert_eq!(heartbeat, Some(at(DAY + offset)), "another node learns that the clock is trusted");
        assert!(Node::new(offset).look(DAY + 60, &mut heartbeat));
    }
}

#[test]
fn another_jump_restarts_the_wait() {
    let (mut node, mut heartbeat) = (Node::new(7 * DAY), Some(at(0)));
    node.look(0, &mut heartbeat);
    assert!(!node.look(DAY - 60, &mut heartbeat));
    node.offset = 20 * DAY;
    assert!(!node.look(DAY, &mut heartbeat));
    assert!(!node.look(2 * DAY - 60, &mut heartbeat));
    assert!(node.look(2 * DAY, &mut heartbeat));
}

#[test]
fn accepted_clock_is_plausible_at_the_next_look() {
    let (mut node, mut heartbeat) = (Node::new(1_500 * DAY), Some(at(0)));
    assert!(!node.look(0, &mut heartbeat));
    heartbeat = Some(at(30 + 1_500 * DAY));
    assert!(node.look(60, &mut heartbeat));
    // A small step back, which the heartbeat alone would not show.
    let (mut node, mut heartbeat) = (Node::new(0), None);
    node.look(0, &mut heartbeat);
    node.look(3_000, &mut heartbeat);
    node.offset = -600;
    assert!(!node.look(3_060, &mut heartbeat));
    heartbeat = Some(at(3_090 - 600));
    assert!(node.look(3_120, &mut heartbeat));
}

/// The bad node never outvotes the good one, whichever started first.
#[test]
fn bad_node_stays_paused_beside_a_good_one() {
    for bad_offset in [1_500 * DAY, -3_600] {
        let (mut good, mut bad) = (Node::new(0), Node::new(bad_offset));
        let mut heartbeat = None;
        for minute in 0..4_000 {
            assert!(good.look(minute * 60, &mut heartbeat), "minute {minute}");
            assert!(!bad.look(minute * 60 + 30, &mut heartbeat), "minute {minute}, {bad_offset} s");
        }
    }
}

#[test]
fn outage_of_the_database_does_not_make_the_clock_implausible() {
    let (mut node, mut heartbeat) = (Node::new(0), None);
    node.look(0, &mut heartbeat);
    for hour in 1..100 {
        assert!(node.observe(hour * 3_600));
    }
    assert!(node.look(100 * 3_600, &mut heartbeat));
    assert_eq!(heartbeat, Some(at(100 * 3_600)));
}

/// A monotonic clock may stop while the machine sleeps, so the wall clock runs ahead of it.
#[test]
fn suspended_machine_is_plausible_up_to_two_days() {
    for (slept, plausible) in [(12 * 3_600, true), (7 * DAY, false)] {
        let (mut node, mut heartbeat) = (Node::new(0), None);
        node.look(0, &mut heartbeat);
        node.offset = slept;
        assert_eq!(node.look(60, &mut heartbeat), plausible, "after {slept} s");
    }
}
