//! What is read off the machine: a process's memory and processor time, a place's received bytes.

use std::fs;

use podwall_lab::Place;

/// A process's resident memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub resident: f64,
    /// The most so far (`VmHWM`).
    pub peak: f64,
}

/// Reads the memory of process `pid`.
///
/// # Panics
/// Where there is no such process.
pub fn memory(pid: u32) -> Memory {
    let file = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let words = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes = words.and_then(|number| number.parse::<f64>().ok());
        kilobytes.unwrap_or_else(|| panic!("{file} has no {name}")) * 1024.0
    };
    Memory {
        resident: bytes("VmRSS:"),
        peak: bytes("VmHWM:"),
    }
}

/// Processor time of process `pid` so far, user and system, in seconds.
///
/// # Panics
/// Where there is no such process.
pub fn processor_time(pid: u32) -> f64 {
    let file = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    // The name in parentheses may have spaces; the times are the 12th and 13th words behind it.
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = behind.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// The process with that word in its command line which this process started, if it runs.
pub fn child(word: &str) -> Option<u32> {
    let own = std::process::id().to_string();
    let mut pids = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let parent = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        let parent = parent.as_deref().and_then(|text| {
            let (_, behind) = text.rsplit_once(')')?;
            behind.split_whitespace().nth(1).map(str::to_owned)
        });
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0).take(2);
        parent.as_deref() == Some(&own)
            && words
                .any(|one| one == word.as_bytes() || one.ends_with(format!("/{word}").as_bytes()))
    })
}

/// Bytes that have come to `place` from outside of it, headers included.
///
/// # Panics
/// Where it cannot be entered.
pub fn received(place: &Place) -> f64 {
    let read = || fs::read_to_string("/proc/thread-self/net/dev").expect("/proc/net/dev");
    let text = place.enter(read).expect("the place can be entered");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let outside = lines.filter(|(name, _)| name.trim() != "lo");
    outside
        .filter_map(|(_, numbers)| numbers.split_whitespace().next()?.parse::<f64>().ok())
        .sum()
}
