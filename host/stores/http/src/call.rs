//! A call as a request: its path and its body.

use kvfs_contract::{Durability, Guard, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Mutation};

use crate::bytes::{Malformed, Reader, Writer};

/// Most bytes of a request's body. The largest `apply` of the project's stores fits, with guards as
/// large as its mutations.
pub const MAX_REQUEST_BYTES: usize = 2 * (MAX_BATCH_BYTES as usize + 16 * MAX_BATCH_ENTRIES as usize);

const LIMITS: &str = "/kvfs/v1/limits";
const GET: &str = "/kvfs/v1/get";
const SCAN: &str = "/kvfs/v1/scan";
const APPLY: &str = "/kvfs/v1/apply";

/// A call of one of the four functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// `get-limits`
    Limits,
    /// `get`
    Get {
        /// The keys.
        keys: Vec<&'a [u8]>,
    },
    /// `scan`
    Scan {
        /// The first key.
        start: &'a [u8],
        /// The key behind the last one; empty: the end of the store.
        end: &'a [u8],
        /// Most entries of the answer.
        max_entries: u32,
        /// Most bytes of keys and values in the answer.
        max_bytes: u32,
    },
    /// `apply`
    Apply {
        /// The conditions.
        guards: Vec<Guard<&'a [u8]>>,
        /// The changes.
        mutations: Vec<Mutation<&'a [u8]>>,
        /// How far it goes before it returns.
        level: Durability,
    },
}

impl<'a> Call<'a> {
    /// Returns the path of the request.
    pub fn path(&self) -> &'static str {
        match self {
            Self::Limits => LIMITS,
            Self::Get { .. } => GET,
            Self::Scan { .. } => SCAN,
            Self::Apply { .. } => APPLY,
        }
    }

    /// Returns whether it may change the store. One without an answer has an unknown outcome then.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Apply { mutations, .. } if !mutations.is_empty())
    }

    /// Returns the body of the request.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::with_capacity(self.size_bytes());
        match self {
            Self::Limits => {}
            Self::Get { keys } => {
                body.count(keys.len());
                keys.iter().for_each(|key| body.bytes(key));
            }
            Self::Scan { start, end, max_entries, max_bytes } => {
                body.bytes(start);
                body.bytes(end);
                body.u32(*max_entries);
                body.u32(*max_bytes);
            }
            Self::Apply { guards, mutations, level } => {
                body.u8(u8::from(*level == Durability::Durable));
                body.count(guards.len());
                for guard in guards {
                    body.bytes(guard.key);
                    body.optional(guard.expected);
                }
                body.count(mutations.len());
                for mutation in mutations {
                    body.bytes(mutation.key());
                    body.optional(mutation.value());
                }
            }
        }
        body.finish()
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Limits => 0,
            Self::Get { keys } => 4 + keys.iter().map(|key| key.len() + 4).sum::<usize>(),
            Self::Scan { start, end, .. } => start.len() + end.len() + 16,
            Self::Apply { guards, mutations, .. } => {
                let guard =
                    |guard: &Guard<&[u8]>| guard.key.len() + guard.expected.map_or(0, <[u8]>::len) + 9;
                let guards: usize = guards.iter().map(guard).sum();
                9 + guards + mutations.iter().map(|mutation| mutation.size_bytes() + 9).sum::<usize>()
            }
        }
    }

    /// Reads a request; `None` for a path that names no call.
    ///
    /// # Errors
    /// [`Malformed`]. Lengths and counts are checked against what the body has; a store checks
    /// its own limits.
    pub fn decode(path: &str, body: &'a [u8]) -> Option<Result<Self, Malformed>> {
        let mut body = Reader::new(body);
        let call = match path {
            LIMITS => Ok(Self::Limits),
            GET => get(&mut body),
            SCAN => scan(&mut body),
            APPLY => apply(&mut body),
            _ => return None,
        };
        Some(call.and_then(|call| body.end().map(|()| call)))
    }
}

fn get<'a>(body: &mut Reader<'a>) -> Result<Call<'a>, Malformed> {
    Ok(Call::Get { keys: body.list(4, Reader::bytes)? })
}

fn scan<'a>(body: &mut Reader<'a>) -> Result<Call<'a>, Malformed> {
    let (start, end) = (body.bytes()?, body.bytes()?);
    Ok(Call::Scan { start, end, max_entries: body.u32()?, max_bytes: body.u32()? })
}

fn apply<'a>(body: &mut Reader<'a>) -> Result<Call<'a>, Malformed> {
    let level = if body.flag()? { Durability::Durable } else { Durability::Buffered };
    let guards = body.list(5, |body| Ok(Guard { key: body.bytes()?, expected: body.optional()? }))?;
    let mutations = body.list(5, |body| {
        let key = body.bytes()?;
        Ok(match body.optional()? {
            Some(value) => Mutation::Put { key, value },
            None => Mutation::Delete { key },
        })
    })?;
    Ok(Call::Apply { guards, mutations, level })
}
