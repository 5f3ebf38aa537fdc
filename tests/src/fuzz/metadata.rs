//! `nsqd.dat`, which tells the topics and channels.

use std::path::Path;
use std::sync::Arc;

use nsqd::metadata::{FILE_NAME, Metadata, encode};

use super::disk::MemoryDisk;

const DATA_PATH: &str = "/data";

/// Any file is read: what is in it is what it is written as, and one that is damaged is set aside with all its bytes.
pub fn metadata(data: &[u8]) {
    let path = Path::new(DATA_PATH).join(FILE_NAME);
    let disk = MemoryDisk::default();
    disk.put(&path, data.to_vec());
    let metadata = Metadata::new(Arc::new(disk.clone()), Path::new(DATA_PATH));
    let Some(topics) = metadata.read().expect("memory can be read") else {
        assert_eq!(
            disk.contents(),
            [(path.with_extension("damaged"), data.to_vec())]
        );
        return;
    };
    let written = encode(topics);
    disk.put(&path, written.clone());
    let again = metadata.read().expect("memory can be read");
    assert_eq!(again.map(encode), Some(written));
}
