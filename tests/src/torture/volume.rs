//! What a data path lies on: a folder, or a file system of its own that can be filled, cut off, and copied while in use.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::plan::{Ground, TMPFS_BYTES};

/// Names that an ext4 has room for: more than nsqd needs, and soon used up.
const EXT4_INODES: &str = "2048";

/// The size of an ext4 in a file. Sparse: it takes what is written.
const EXT4_BYTES: u64 = 128 << 20;
/// An XFS can't be smaller.
const XFS_BYTES: u64 = 300 << 20;
/// The size of what volumes lie on that share blocks with their snapshots.
const SHELF_BYTES: u64 = 1 << 30;
/// What stays free of a full disk: less than nsqd needs, more than a directory entry.
const LEFT_FREE_BYTES: u64 = 8 << 10;

/// A place for a data path; unmounted when this value goes.
#[derive(Debug)]
pub struct Volume {
    ground: Ground,
    image: PathBuf,
    mount: PathBuf,
    is_mounted: bool,
    /// The XFS that the image lies on, so that a copy takes no time. Goes after this volume.
    shelf: Option<Box<Volume>>,
}

impl Volume {
    /// Makes one in this directory.
    pub fn create(ground: Ground, directory: &Path) -> Result<Self, String> {
        let mut volume = Self::named(ground, directory, "data");
        match ground {
            Ground::Folder => {}
            Ground::Tmpfs => volume.mount_tmpfs()?,
            Ground::Ext4 | Ground::Xfs => {
                let mut shelf = Self::named(Ground::Xfs, directory, "shelf");
                shelf.format(SHELF_BYTES)?;
                shelf.mount()?;
                volume.image = shelf.mount.join("data.img");
                volume.shelf = Some(Box::new(shelf));
                volume.format(if ground == Ground::Ext4 {
                    EXT4_BYTES
                } else {
                    XFS_BYTES
                })?;
            }
        }
        volume.mount()?;
        Ok(volume)
    }

    fn named(ground: Ground, directory: &Path, name: &str) -> Self {
        Self {
            ground,
            image: directory.join(format!("{name}.img")),
            mount: directory.join(name),
            is_mounted: false,
            shelf: None,
        }
    }

    fn mount_tmpfs(&mut self) -> Result<(), String> {
        let size = format!("size={TMPFS_BYTES}");
        fs::create_dir_all(&self.mount).map_err(|error| error.to_string())?;
        run(
            "mount",
            &["-t", "tmpfs", "-o", &size, "none", path(&self.mount)],
        )?;
        self.is_mounted = true;
        Ok(())
    }

    fn format(&self, bytes: u64) -> Result<(), String> {
        let image = File::create(&self.image).and_then(|image| image.set_len(bytes));
        image.map_err(|error| format!("{}: {error}", self.image.display()))?;
        let image = path(&self.image);
        if self.ground == Ground::Ext4 {
            run("mkfs.ext4", &["-q", "-N", EXT4_INODES, image])
        } else {
            run("mkfs.xfs", &["-q", image])
        }
    }

    /// Where a data path can be.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Whether its power can be cut.
    pub fn has_power(&self) -> bool {
        matches!(self.ground, Ground::Ext4 | Ground::Xfs)
    }

    fn mount(&mut self) -> Result<(), String> {
        fs::create_dir_all(&self.mount).map_err(|error| error.to_string())?;
        if self.has_power() {
            let options = match self.ground {
                // A snapshot has the same identity as what it was taken of.
                Ground::Xfs => "loop,nouuid",
                _ => "loop,errors=remount-ro",
            };
            run(
                "mount",
                &["-o", options, path(&self.image), path(&self.mount)],
            )?;
            self.is_mounted = true;
        }
        Ok(())
    }

    fn unmount(&mut self) -> Result<(), String> {
        if self.is_mounted {
            run("umount", &[path(&self.mount)])?;
            self.is_mounted = false;
        }
        Ok(())
    }

    /// Cuts the power: what is not on stable storage now never will be. Until [`Volume::power_up`] all fails.
    pub fn cut_power(&self) -> Result<(), String> {
        run("xfs_io", &["-x", "-c", "shutdown", path(&self.mount)])
    }

    /// Has an ext4 make itself read-only, as after an error of its device. Only [`Volume::power_up`] ends that.
    pub fn make_read_only(&self) -> Result<(), String> {
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
        let is_own = |line: &&str| line.split(' ').nth(1) == self.mount.to_str();
        let device = mounts.lines().rfind(is_own);
        let device = device.and_then(|line| line.split(' ').next()?.strip_prefix("/dev/"));
        let device = device.ok_or_else(|| format!("{} is no mount", self.mount.display()))?;
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        fs::write(&trigger, "torture").map_err(|error| format!("{trigger}: {error}"))
    }

    /// Mounts it again after a power cut; nobody may use it.
    pub fn power_up(&mut self) -> Result<(), String> {
        self.unmount()?;
        self.mount()
    }

    /// What a power cut at this moment would leave, as a volume of its own.
    pub fn snapshot(&self) -> Result<Self, String> {
        let directory = self.mount.parent().unwrap_or(Path::new("."));
        let mut copy = Self::named(self.ground, directory, "snapshot");
        copy.image = self.image.with_file_name("snapshot.img");
        run(
            "cp",
            &["--reflink=always", path(&self.image), path(&copy.image)],
        )?;
        copy.mount()?;
        Ok(copy)
    }

    /// Takes all room but a little; it comes back when the ballast is removed.
    pub fn fill(&self) -> Result<Ballast, String> {
        let path = self.mount.join("ballast");
        let ballast = File::create(&path).map_err(|error| error.to_string())?;
        let mut bytes = 0;
        // File systems keep some room for themselves, so that what is free can't be had in one piece.
        let mut piece = 8 << 20;
        while piece >= 4096 {
            let room = statvfs(&self.mount).map_err(|error| error.to_string())?;
            let is_enough = room.f_bavail * room.f_frsize < LEFT_FREE_BYTES + piece;
            if is_enough || fallocate(&ballast, FallocateFlags::empty(), bytes, piece).is_err() {
                piece /= 2;
            } else {
                bytes += piece;
            }
        }
        Ok(Ballast(path))
    }

    /// Takes all names that there are: no file can be created until the ballast is removed.
    pub fn use_up_inodes(&self) -> Result<Ballast, String> {
        let ballast = Ballast(self.mount.join("names"));
        fs::create_dir(&ballast.0).map_err(|error| error.to_string())?;
        for number in 0.. {
            match File::create(ballast.0.join(format!("{number}"))) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(ballast)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // What can't be unmounted goes with the mount namespace of the harness.
        let _ = self.unmount();
        let _ = fs::remove_file(&self.image);
    }
}

/// A file or folder that takes the room of a volume until this value goes.
#[derive(Debug)]
pub struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0).or_else(|_| fs::remove_dir_all(&self.0));
    }
}

/// Runs a program that must succeed.
pub fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program} can't be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{program} {}: {}",
        arguments.join(" "),
        text.trim()
    ))
}

fn path(path: &Path) -> &str {
    path.to_str()
        .expect("the harness makes its own paths, of ASCII")
}
