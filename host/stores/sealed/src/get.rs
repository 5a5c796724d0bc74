//! Reading values.

use crate::below::AsyncKvStore;
use crate::store::{SealedStore, prefixes};
use kvfs_contract::StoreError;

impl<C: AsyncKvStore> SealedStore<C> {
    /// Returns the values of `keys`: see [`KvStore::get`](kvfs_contract::KvStore::get).
    ///
    /// # Errors
    /// Those of the store below, and [`StoreError::Corrupt`] for a value that does not open.
    pub async fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.limits.check_get(keys)?;
        let prefixes = prefixes(keys.iter().copied());
        let mut ring = self.ring(&prefixes).await?;
        self.check_unused(&mut ring, &prefixes).await?;
        let located: Vec<Option<Vec<u8>>> = keys.iter().map(|key| Self::locate(&ring, key)).collect();
        let asked: Vec<&[u8]> = located.iter().flatten().map(Vec::as_slice).collect();
        let mut found = self.below.get(&asked).await?.into_iter();
        let mut values = Vec::with_capacity(keys.len());
        for (key, located) in keys.iter().zip(&located) {
            let Some(located) = located else {
                values.push(None);
                continue;
            };
            let value = found.next().ok_or_else(|| {
                StoreError::Fault("the store below returned fewer values than it was asked for".into())
            })?;
            values.push(match value {
                None => None,
                Some(sealed) => {
                    let (whose, value) = Self::open_entry(&ring, located, sealed.as_ref())?;
                    if whose != *key {
                        return Err(StoreError::Corrupt(
                            "two names have one tag; choose another name".into(),
                        ));
                    }
                    Some(value)
                }
            });
        }
        Ok(values)
    }
}
