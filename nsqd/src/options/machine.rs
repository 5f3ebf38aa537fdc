//! Defaults that depend on the machine: its name, and its memory.

use std::{fs, path::Path};

/// Returns the host name as the kernel has it.
pub(super) fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Returns the node id, 0 to 1023, of a host for which none was given.
///
/// A stable hash of the name (CRC-32C). The reference hashes otherwise (CRC-32 of MD5), which nothing
/// depends on: ids have to differ between hosts, not to be the same as those of the reference.
pub(super) fn node_id(hostname: &str) -> u16 {
    u16::try_from(crc32c::crc32c(hostname.as_bytes()) % 1024).expect("below 1024")
}

/// Returns the budget for messages in memory: an eighth of the memory that this process may use, within limits.
pub(super) fn mem_queue_bytes() -> u64 {
    let usable = cgroup_limit(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"))
        .map_or(installed(), |limit| limit.min(installed()));
    (usable / 8).clamp(BUDGET_MIN, BUDGET_MAX)
}

fn installed() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// The lowest memory limit of the cgroup that `membership` names and of those around it. Within a container they are
/// usually seen as the root. Both versions of cgroups are looked at; what cannot be read is no limit.
fn cgroup_limit(membership: &Path, root: &Path) -> Option<u64> {
    let membership = fs::read_to_string(membership).unwrap_or_default();
    let own = membership
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap_or_default();
    let own = root.join(own);
    let limits = own.ancestors().take_while(|group| group.starts_with(root));
    let limits = limits.map(|group| group.join("memory.max"));
    let version_1 = root.join("memory/memory.limit_in_bytes");
    limits
        .chain([version_1])
        .filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
        .min()
}

const BUDGET_MIN: u64 = 64 << 20;
const BUDGET_MAX: u64 = 4 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_ids_are_stable_and_in_range() {
        assert_eq!(node_id("host-1"), node_id("host-1"));
        assert_ne!(node_id("host-1"), node_id("host-2"));
        assert!((0..100).all(|number| node_id(&format!("host-{number}")) < 1024));
    }

    #[test]
    fn the_budget_is_within_its_limits() {
        let budget = mem_queue_bytes();
        assert!((BUDGET_MIN..=BUDGET_MAX).contains(&budget), "{budget}");
    }

    #[test]
    fn the_lowest_cgroup_limit_on_the_way_up_counts() {
        let directory = tempfile::tempdir().unwrap();
        let (membership, root) = (directory.path().join("cgroup"), directory.path().join("fs"));
        let group = root.join("a/b");
        fs::create_dir_all(&group).unwrap();
        fs::write(&membership, "0::/a/b\n").unwrap();
        assert_eq!(cgroup_limit(&membership, &root), None);

        fs::write(group.join("memory.max"), "max\n").unwrap();
        fs::write(root.join("a/memory.max"), "2000\n").unwrap();
        assert_eq!(cgroup_limit(&membership, &root), Some(2000));

        fs::create_dir_all(root.join("memory")).unwrap();
        fs::write(root.join("memory/memory.limit_in_bytes"), "1000\n").unwrap();
        assert_eq!(cgroup_limit(&membership, &root), Some(1000), "version 1");
    }
}
