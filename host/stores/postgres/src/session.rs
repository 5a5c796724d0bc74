//! Names of sessions.

/// Bytes of a session's name.
const ID_BYTES: usize = 16;

/// A store's session at the server.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    id: [u8; ID_BYTES],
}

impl Session {
    /// Makes a name that no other session has.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut id)?;
        Ok(Self { id })
    }

    pub(crate) fn id(&self) -> &[u8] {
        &self.id
    }

    /// Returns the name under which the server lists connections that change the store.
    pub(crate) fn writer(&self) -> String {
        format!("kvfs {:032x} writer", u128::from_be_bytes(self.id))
    }

    /// Returns the name under which the server lists connections that read.
    pub(crate) fn reader(&self) -> String {
        format!("kvfs {:032x} reader", u128::from_be_bytes(self.id))
    }
}
