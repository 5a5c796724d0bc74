//! A store seen together with the image that a volume of it lies on, as if the records were all in the
//! store: so a check and a repair need not know of images.

use crate::error::Error;
use crate::layer::{self, Lower, Value};
use crate::overlay::Changes;
use crate::record::tombstone;
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};

pub(super) struct Layered<'s> {
    pub(super) store: &'s mut dyn KvStore,
    pub(super) lower: Lower,
}

fn to_store_error(error: Error) -> StoreError {
    match error {
        Error::Store(error) => error,
        error => StoreError::Corrupt(error.to_string()),
    }
}

impl KvStore for Layered<'_> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.store.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = layer::get(Some(self.store), &Changes::new(), Some(&mut self.lower), keys);
        let values = values.map_err(to_store_error)?;
        Ok(values.into_iter().map(|value| value.map(Value::into_owned)).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let lower = Some(&mut self.lower);
        layer::scan(Some(self.store), &Changes::new(), lower, start, end, max_entries, max_bytes)
            .map_err(to_store_error)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let mut graves = Vec::new();
        for mutation in mutations {
            graves.push(match mutation {
                Mutation::Delete { key } => {
                    self.lower.get(key).map_err(to_store_error)?.map(|_| tombstone(key))
                }
                Mutation::Put { .. } => None,
            });
        }
        let buried = mutations.iter().zip(&graves).map(|(mutation, grave)| match (*mutation, grave) {
            (Mutation::Delete { key }, Some(value)) => Mutation::Put { key, value },
            (mutation, _) => mutation,
        });
        self.store.apply(guards, &buried.collect::<Vec<_>>(), level)
    }
}
