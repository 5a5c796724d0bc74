//! Changes of an `apply`, and levels of durability.

/// One change of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation<B> {
    /// Sets the key to the value, whether it was there or not.
    Put {
        /// The key to set.
        key: B,
        /// Its new value.
        value: B,
    },
    /// Removes the key. Removing an absent key is not an error.
    Delete {
        /// The key to remove.
        key: B,
    },
}

impl<B> Mutation<B> {
    /// Converts the bytes of the key and the value.
    pub fn map<T>(self, mut convert: impl FnMut(B) -> T) -> Mutation<T> {
        match self {
            Self::Put { key, value } => Mutation::Put { key: convert(key), value: convert(value) },
            Self::Delete { key } => Mutation::Delete { key: convert(key) },
        }
    }
}

impl<B: AsRef<[u8]>> Mutation<B> {
    /// Returns the mutation with borrowed bytes.
    pub fn borrowed(&self) -> Mutation<&[u8]> {
        match self {
            Self::Put { key, value } => Mutation::Put { key: key.as_ref(), value: value.as_ref() },
            Self::Delete { key } => Mutation::Delete { key: key.as_ref() },
        }
    }

    /// Returns what the mutation counts for in
    /// [`Limits::max_batch_bytes`](crate::Limits::max_batch_bytes).
    pub fn size_bytes(&self) -> usize {
        let mutation = self.borrowed();
        mutation.key().len() + mutation.value().map_or(0, <[u8]>::len)
    }
}

impl<'a> Mutation<&'a [u8]> {
    /// Returns the key that the mutation changes.
    pub fn key(&self) -> &'a [u8] {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// Returns the value that the key has afterwards; `None` when it is removed.
    pub fn value(&self) -> Option<&'a [u8]> {
        match self {
            Self::Put { value, .. } => Some(value),
            Self::Delete { .. } => None,
        }
    }
}

/// How far an `apply` goes before it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Visible to every later call and safe from the end of the calling instance, however it ends.
    /// A crash of the host may lose it.
    ///
    /// A store through which alone the caller's keys are changed may hold it in memory and send it
    /// later, in order, several applies as one; if that is refused, every later call fails.
    Buffered,
    /// As `Buffered`, and safe from a crash of the host. Every earlier `apply` of the instance
    /// becomes durable with it, so what a crash loses is always a suffix.
    Durable,
}
