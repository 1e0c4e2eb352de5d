//! Who holds a queue, by the kernel's own list.

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

/// Reads the list of this thread's network namespace.
pub(super) fn of(number: u16) -> Held {
    match std::fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_queue") {
        Ok(list) => named(&list, number),
        Err(_) => Held::Unreadable,
    }
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
