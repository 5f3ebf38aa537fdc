//! What a running process uses, as the kernel tells it.

use std::fs;
use std::time::Duration;

/// Resident memory in bytes.
pub fn rss_bytes(pid: u32) -> u64 {
    memory_bytes(pid, "VmRSS:")
}

/// The most memory that was resident since the process started, in bytes.
pub fn peak_rss_bytes(pid: u32) -> u64 {
    memory_bytes(pid, "VmHWM:")
}

fn memory_bytes(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kib = line
        .and_then(|line| line.strip_suffix(" kB"))
        .expect("it is in kB");
    kib.trim().parse::<u64>().expect("it is a number") * 1024
}

/// Processor time used so far, in user and system mode, by all threads.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name in brackets may hold anything; the fields behind it are plain. utime and stime are
    // the 14th and 15th of all, thus 11 and 12 behind the name, in ticks of 10 ms (USER_HZ).
    let (_, fields) = stat.rsplit_once(')').expect("the name ends with a bracket");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks
        .map(|field| field.parse::<u64>().expect("ticks are numbers"))
        .sum();
    Duration::from_millis(ticks * 10)
}

/// The processes that this one started and that still run.
pub fn children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").expect("the kernel tells about processes");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter_map(|name| name.parse::<u32>().ok());
    pids.filter(|pid| parent(*pid).is_some_and(|parent| parent == own))
        .collect()
}

/// None when the process has ended in between.
fn parent(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1).map(str::to_owned)
}

/// How many file descriptors are open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the process runs")
        .count()
}
