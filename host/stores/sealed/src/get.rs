//! Reading values.

use crate::layout::{prefix, split};
use crate::store::{SealedStore, prefixes};
use kvfs_contract::AsyncKvStore;
use kvfs_contract::StoreError;

impl<C: AsyncKvStore> SealedStore<C> {
    /// Returns the values of `keys`: see [`KvStore::get`](kvfs_contract::KvStore::get).
    ///
    /// # Errors
    /// Those of the store below, and [`StoreError::Corrupt`] for a value that does not open.
    pub async fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.limits.check_get(keys)?;
        let all = prefixes(keys.iter().copied());
        let mut ring = self.ring(&all).await?;
        if !ring.has_all(&all) {
            // Without a key, it is not known where a hidden entry would be.
            let hidden = keys.iter().copied().filter(|key| split(key).is_some());
            self.check_unused(&mut ring, &prefixes(hidden)).await?;
        }
        let mut repeated = false;
        let (located, found) = loop {
            let located: Vec<Option<Vec<u8>>> = keys.iter().map(|key| self.locate(&ring, key)).collect();
            let asked: Vec<&[u8]> = located.iter().flatten().map(Vec::as_slice).collect();
            let found = self.get_below(&asked).await?;
            // A value under a prefix that had no key a moment ago: another writer has begun it. Its
            // hidden entries may be there too, so all is read again.
            let mut there = keys.iter().zip(&located).filter(|(_, located)| located.is_some()).zip(&found);
            if repeated || !there.any(|((key, _), value)| value.is_some() && ring.get(prefix(key)).is_none())
            {
                break (located, found);
            }
            ring = self.ring(&all).await?;
            repeated = true;
        };
        let mut found = found.into_iter();
        let mut values = Vec::with_capacity(keys.len());
        for (key, located) in keys.iter().zip(&located) {
            let value = match located {
                Some(located) => found.next().flatten().map(|sealed| (located, sealed)),
                None => None,
            };
            let Some((located, sealed)) = value else {
                values.push(None);
                continue;
            };
            let (whose, value) = self.open_entry(&ring, located, sealed.as_ref())?;
            if whose != *key {
                // A salvage that was asked for the real name of an entry whose name does not open.
                if self.is_salvaging() {
                    values.push(None);
                    continue;
                }
                return Err(StoreError::Corrupt("two names have one tag; choose another name".into()));
            }
            values.push(Some(value));
        }
        Ok(values)
    }
}
