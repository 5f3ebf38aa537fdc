//! How near a consumer is: with `--enable-experiment=topology-aware-consumption`, messages go to those nearby first.

use client::wire::Settings;

/// How near a consumer is to this host; the nearest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locality {
    /// In the same zone.
    Zone,
    /// In the same region.
    Region,
    /// Anywhere, or it is not asked for.
    #[default]
    Global,
}

impl Locality {
    /// How near a client with these settings is to a host in this region and zone. Names that both leave empty are equal,
    /// as in the reference.
    pub fn of(client: &Settings, region: &str, zone: &str) -> Self {
        if client.topology_zone == zone {
            Self::Zone
        } else if client.topology_region == region {
            Self::Region
        } else {
            Self::Global
        }
    }
}

/// One of something for each locality.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerLocality<T>([T; 3]);

impl<T> PerLocality<T> {
    /// That of a locality.
    pub fn at(&self, locality: Locality) -> &T {
        &self.0[locality as usize]
    }

    pub(super) fn at_mut(&mut self, locality: Locality) -> &mut T {
        &mut self.0[locality as usize]
    }

    /// Those of nearer localities.
    pub(super) fn nearer(&self, locality: Locality) -> &[T] {
        &self.0[..locality as usize]
    }

    pub(super) fn all(&self) -> &[T] {
        &self.0
    }

    pub(super) fn all_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
