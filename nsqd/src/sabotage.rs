//! Faults that are built in on purpose, for the feature `sabotage`: what a torture test must catch to be believed, and
//! places where the process dies. Without the feature all of it is off at compile time, and a release has no trace of it.
//!
//! The variable `NSQD_SABOTAGE` names one fault, such as `no-crc`, or `abort-at:SITE:N`: abort when a site is passed for
//! the N-th time, from 1.

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// OK comes before the sync that it promises.
    AckBeforeFsync,
    /// The names of new files are not synced.
    SkipDirFsync,
    /// Bodies are read from disk unchecked.
    NoCrc,
    /// A message that was sent counts as finished in the progress on disk.
    PersistCursorOnSend,
    /// One message of ten thousand is answered with OK, and not taken.
    DropOneInTenThousand,
    /// One FIN of a thousand puts the message back.
    DoubleDeliver,
    /// A sync that has failed is tried again, and believed.
    RetryFsync,
    /// The file of a segment goes once its messages were sent.
    UnlinkBeforeAckSync,
    /// Deferred messages are left out of the progress on disk.
    ForgetDeferred,
    /// A batch is taken in two halves, with a pause between them.
    MpubNonAtomic,
}

/// Where the process can be made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// A segment is sealed, under the log's lock.
    SegmentRoll,
    /// Before `progress.dat` gets its new content, and after it.
    ProgressRename,
    /// Before `nsqd.dat` or `ids.dat` gets its new content, and after it.
    MetadataRename,
    /// Before a segment's file is removed, and after it.
    SegmentUnlink,
    /// Before a topic gets its directory, and after it.
    TopicCreate,
    /// Before the directory of a deleted topic is set aside, and after it.
    TopicDelete,
    /// A segment file was found at the start.
    Recovery,
}

#[cfg(feature = "sabotage")]
pub(crate) use chosen::{is_on, pass};

/// Whether this is done wrong: no.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn is_on(_: Fault) -> bool {
    false
}

/// Notes that a site was passed: nothing happens.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn pass(_: Site) {}

/// Whether this is done wrong now: once in so many times, by chance.
pub(crate) fn strikes(fault: Fault, times: u32) -> bool {
    is_on(fault) && fastrand::u32(..times) == 0
}

#[cfg(feature = "sabotage")]
mod chosen {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{Fault, Site};

    const FAULTS: [(&str, Fault); 10] = [
        ("ack-before-fsync", Fault::AckBeforeFsync),
        ("skip-dir-fsync", Fault::SkipDirFsync),
        ("no-crc", Fault::NoCrc),
        ("persist-cursor-on-send", Fault::PersistCursorOnSend),
        ("drop-1-in-10000", Fault::DropOneInTenThousand),
        ("double-deliver", Fault::DoubleDeliver),
        ("retry-fsync", Fault::RetryFsync),
        ("unlink-before-ack-sync", Fault::UnlinkBeforeAckSync),
        ("forget-deferred", Fault::ForgetDeferred),
        ("mpub-non-atomic", Fault::MpubNonAtomic),
    ];
    const SITES: [(&str, Site); 7] = [
        ("segment-roll", Site::SegmentRoll),
        ("progress-rename", Site::ProgressRename),
        ("metadata-rename", Site::MetadataRename),
        ("segment-unlink", Site::SegmentUnlink),
        ("topic-create", Site::TopicCreate),
        ("topic-delete", Site::TopicDelete),
        ("recovery", Site::Recovery),
    ];

    /// What `NSQD_SABOTAGE` asks for.
    #[derive(Debug, PartialEq)]
    enum Choice {
        Nothing,
        Fault(Fault),
        Abort { site: Site, pass: u32 },
    }

    static CHOICE: OnceLock<Choice> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);

    /// Whether this is done wrong.
    pub(crate) fn is_on(fault: Fault) -> bool {
        *choice() == Choice::Fault(fault)
    }

    /// Notes that a site was passed; perhaps for the last time.
    pub(crate) fn pass(site: Site) {
        let Choice::Abort { site: last, pass } = *choice() else {
            return;
        };
        if site == last && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == pass {
            tracing::error!(?site, pass, "aborting, as NSQD_SABOTAGE asks for");
            std::process::abort();
        }
    }

    fn choice() -> &'static Choice {
        CHOICE.get_or_init(|| {
            let text = std::env::var("NSQD_SABOTAGE").unwrap_or_default();
            let choice = parse(&text);
            choice.unwrap_or_else(|| panic!("NSQD_SABOTAGE={text} names no fault and no site"))
        })
    }

    fn parse(text: &str) -> Option<Choice> {
        if text.is_empty() {
            return Some(Choice::Nothing);
        }
        if let Some(place) = text.strip_prefix("abort-at:") {
            let (name, pass) = place.split_once(':')?;
            let (_, site) = *SITES.iter().find(|(known, _)| *known == name)?;
            let pass = pass.parse().ok()?;
            return Some(Choice::Abort { site, pass });
        }
        let (_, fault) = *FAULTS.iter().find(|(known, _)| *known == text)?;
        Some(Choice::Fault(fault))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn faults_and_sites_have_names_and_others_have_none() {
            assert_eq!(parse(""), Some(Choice::Nothing));
            for (name, fault) in FAULTS {
                assert_eq!(parse(name), Some(Choice::Fault(fault)), "{name}");
            }
            for (name, site) in SITES {
                let abort = Choice::Abort { site, pass: 3 };
                assert_eq!(parse(&format!("abort-at:{name}:3")), Some(abort), "{name}");
            }
            for wrong in [
                "none",
                "abort-at:",
                "abort-at:recovery",
                "abort-at:recovery:x",
                "abort-at:moon:1",
            ] {
                assert_eq!(parse(wrong), None, "{wrong}");
            }
        }
    }
}
