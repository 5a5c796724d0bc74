//! Keys of a `get`, each asked for once.

use kvfs_contract::{Answer, StoreError};

/// The keys of a `get` in order, without those that are named again.
#[derive(Debug)]
pub struct Asked<'a> {
    named: &'a [&'a [u8]],
    keys: Vec<&'a [u8]>,
}

impl<'a> Asked<'a> {
    /// Reads the keys of a `get`.
    pub fn new(named: &'a [&'a [u8]]) -> Self {
        let mut keys = named.to_vec();
        keys.sort_unstable();
        keys.dedup();
        Self { named, keys }
    }

    /// Returns the keys to ask for.
    pub fn keys(&self) -> &[&'a [u8]] {
        &self.keys
    }

    /// Makes the answer of the `get` from the values of those keys.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], and [`StoreError::Other`] if there are not as many values.
    pub fn answer(&self, found: Vec<Option<Vec<u8>>>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if found.len() != self.keys.len() {
            return Err(StoreError::Other("the server answers with values of other keys".to_owned()));
        }
        if self.keys == self.named {
            return Ok(found);
        }
        let mut answer = Answer::new(self.named.len());
        for key in self.named {
            let place = self.keys.binary_search(key).ok();
            answer.push(place.and_then(|place| found.get(place)).cloned().flatten())?;
        }
        Ok(answer.finish())
    }
}
