//! The answer of a `get`, and its bound.

use crate::StoreError;

/// Most bytes of values in one answer of `get`. A caller can name one large key many times.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The answer of a `get` in the making: values in the order of the keys, within
/// [`MAX_ANSWER_BYTES`].
#[derive(Debug)]
pub struct Answer<V> {
    values: Vec<Option<V>>,
    left_bytes: usize,
}

impl<V: AsRef<[u8]>> Answer<V> {
    /// Makes room for the values of so many keys.
    pub fn new(keys: usize) -> Self {
        Self { values: Vec::with_capacity(keys), left_bytes: MAX_ANSWER_BYTES }
    }

    /// Adds the value of the next key.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: the values are too much to hold in memory.
    pub fn push(&mut self, value: Option<V>) -> Result<(), StoreError> {
        let value_bytes = value.as_ref().map_or(0, |value| value.as_ref().len());
        self.left_bytes = self.left_bytes.checked_sub(value_bytes).ok_or(StoreError::TooLarge)?;
        self.values.push(value);
        Ok(())
    }

    /// Returns the values.
    pub fn finish(self) -> Vec<Option<V>> {
        self.values
    }
}

/// Answers a `get` with the values that `find` returns.
///
/// # Errors
/// Those of `find`, and [`StoreError::TooLarge`]: the values are over [`MAX_ANSWER_BYTES`].
pub fn gather<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    keys: &[K],
    mut find: impl FnMut(&[u8]) -> Result<Option<V>, StoreError>,
) -> Result<Vec<Option<V>>, StoreError> {
    let mut answer = Answer::new(keys.len());
    for key in keys {
        answer.push(find(key.as_ref())?)?;
    }
    Ok(answer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_at_its_bound_however_often_a_key_is_named() {
        let value = vec![7; MAX_ANSWER_BYTES / 4];
        let find = |key: &[u8]| Ok((key == b"k").then_some(&value));
        let keys = [b"k", b"k", b"-", b"k", b"k"];
        let found: Vec<_> = gather(&keys, find).unwrap().iter().map(Option::is_some).collect();
        assert_eq!(found, [true, true, false, true, true]);
        assert_eq!(gather(&[b"k"; 5], find), Err(StoreError::TooLarge));
        let broken = |_: &[u8]| Err::<Option<&[u8]>, _>(StoreError::ReadOnly);
        assert_eq!(gather(&keys, broken), Err(StoreError::ReadOnly));
    }
}
