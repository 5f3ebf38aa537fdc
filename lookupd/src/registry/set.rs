//! A set kept as a sorted vector: a few bytes per element, however many sets there are.

/// A small set. Looking up is logarithmic; adding and removing move what is greater, which for the newest ids is nothing.
#[derive(Debug)]
pub(super) struct SortedSet<T>(Vec<T>);

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Ord> SortedSet<T> {
    /// Adds `element`; false if it was there.
    pub(super) fn insert(&mut self, element: T) -> bool {
        let place = self.0.binary_search(&element);
        if let Err(at) = place {
            self.0.insert(at, element);
        }
        place.is_err()
    }

    /// Removes `element`; false if it was not there.
    pub(super) fn remove(&mut self, element: T) -> bool {
        let place = self.0.binary_search(&element);
        if let Ok(at) = place {
            self.0.remove(at);
        }
        place.is_ok()
    }

    pub(super) fn contains(&self, element: T) -> bool {
        self.0.binary_search(&element).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
