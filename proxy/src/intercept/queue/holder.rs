//! The kernel's own list of queues: who holds one, and what it had to drop.

/// What the kernel says of a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Held {
    /// This netlink port has it.
    By(u32),
    /// It is not among those that are bound.
    ByNobody,
    /// The list cannot be read.
    Unreadable,
}

/// The list of this thread's network namespace.
const LIST: &str = "/proc/thread-self/net/netfilter/nfnetlink_queue";

/// Reads who holds a queue.
pub(super) fn of(number: u16) -> Held {
    match std::fs::read_to_string(LIST) {
        Ok(list) => named(&list, number),
        Err(_) => Held::Unreadable,
    }
}

/// How many packets these queues have dropped since they were bound, because too many waited; `None` where that cannot
/// be read.
#[must_use]
pub fn dropped(numbers: impl Fn(u16) -> bool) -> Option<u64> {
    let list = std::fs::read_to_string(LIST).ok()?;
    Some(dropped_of(&list, numbers))
}

/// The sixth word of a line is what found the queue full, the seventh what found no room in its socket.
pub(super) fn dropped_of(list: &str, numbers: impl Fn(u16) -> bool) -> u64 {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let queue: u16 = words.next()?.parse().ok()?;
        let full: u64 = words.nth(4)?.parse().ok()?;
        let unread: u64 = words.next()?.parse().ok()?;
        numbers(queue).then_some(full + unread)
    };
    list.lines().filter_map(of_line).sum()
}

/// Each line begins with a queue's number and the netlink port of its owner.
pub(super) fn named(list: &str, number: u16) -> Held {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let queue: u16 = words.next()?.parse().ok()?;
        let port_id = words.next()?.parse().ok()?;
        (queue == number).then_some(port_id)
    };
    list.lines()
        .find_map(of_line)
        .map_or(Held::ByNobody, Held::By)
}
