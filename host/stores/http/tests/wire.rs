//! Requests and answers, written and read, and read after any damage.

use kvfs_contract::{Durability, Entry, Guard, Limits, Mutation, StoreError};
use kvfs_http_wire::{Call, entries, is_token, limits, nothing, refusal, values};
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

fn list<T: Strategy>(of: T) -> impl Strategy<Value = Vec<T::Value>> {
    prop::collection::vec(of, 0..6)
}

proptest! {
    #[test]
    fn a_call_is_read_as_it_was_written(
        keys in list(bytes()),
        (start, end) in (bytes(), bytes()),
        numbers in any::<(u32, u32)>(),
        guards in list((bytes(), prop::option::of(bytes()))),
        mutations in list((bytes(), prop::option::of(bytes()))),
        durable in any::<bool>(),
        (cut, flip) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let guards: Vec<_> =
            guards.iter().map(|(key, value)| Guard { key: key.as_slice(), expected: value.as_deref() }).collect();
        let mutations: Vec<_> = mutations
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Mutation::Put { key: key.as_slice(), value: value.as_slice() },
                None => Mutation::Delete { key: key.as_slice() },
            })
            .collect();
        let level = if durable { Durability::Durable } else { Durability::Buffered };
        let (max_entries, max_bytes) = numbers;
        for call in [
            Call::Limits,
            Call::Get { keys: keys.iter().map(Vec::as_slice).collect() },
            Call::Scan { start: &start, end: &end, max_entries, max_bytes },
            Call::Apply { guards: guards.clone(), mutations: mutations.clone(), level },
        ] {
            let mut body = call.encode();
            let read = Call::decode(call.path(), &body).unwrap();
            prop_assert_eq!(read.as_ref(), Ok(&call));
            // Cut anywhere, longer, or with any byte changed, it is an error or another call.
            if !body.is_empty() {
                let at = cut.index(body.len());
                prop_assert!(Call::decode(call.path(), &body[..at]).unwrap().is_err());
                let at = flip.index(body.len());
                body[at] ^= 0x81;
                let _ = Call::decode(call.path(), &body);
                body[at] ^= 0x81;
            }
            body.push(0);
            prop_assert!(Call::decode(call.path(), &body).unwrap().is_err());
        }
        prop_assert!(Call::decode("/kvfs/v2/get", &[]).is_none());
    }

    #[test]
    fn an_answer_is_read_as_it_was_written(
        found in list(prop::option::of(bytes())),
        page in list((bytes(), bytes())),
        noise in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        prop_assert_eq!(values::decode(&values::encode(&found), found.len()), Ok(found.clone()));
        prop_assert!(values::decode(&values::encode(&found), found.len() + 1).is_err());
        let page: Vec<_> = page.into_iter().map(|(key, value)| Entry { key, value }).collect();
        prop_assert_eq!(entries::decode(&entries::encode(&page)), Ok(page));
        let _ = (values::decode(&noise, 3), entries::decode(&noise), limits::decode(&noise), nothing::decode(&noise));
    }
}

#[test]
fn each_error_is_read_as_it_was_written() {
    for error in [
        StoreError::Conflict,
        StoreError::UnknownOutcome,
        StoreError::Unavailable("why".into()),
        StoreError::TooLarge,
        StoreError::QuotaExceeded,
        StoreError::ReadOnly,
        StoreError::AccessDenied,
        StoreError::Corrupt("where".into()),
        StoreError::Other("what".into()),
    ] {
        let body = refusal(&error);
        assert_eq!(nothing::decode(&body), Err(error.clone()));
        assert_eq!(values::decode(&body, 1), Err(error.clone()));
        assert_eq!(entries::decode(&body), Err(error));
    }
    let long = StoreError::Corrupt("ä".repeat(5000));
    assert!(refusal(&long).len() <= 1025);
}

#[test]
fn an_apply_without_a_readable_answer_is_in_doubt() {
    assert_eq!(nothing::decode(&nothing::encode()), Ok(()));
    for body in [&b""[..], b"\0more"] {
        assert_eq!(nothing::decode(body), Err(StoreError::UnknownOutcome));
    }
}

#[test]
fn limits_are_read_as_they_were_written() {
    for durable in [false, true] {
        let some = Limits {
            max_key_bytes: 1,
            max_value_bytes: 2,
            max_batch_entries: 3,
            max_batch_bytes: 4,
            durable,
        };
        assert_eq!(limits::decode(&limits::encode(&some)), Ok(some));
    }
}

#[test]
fn a_count_that_is_too_large_takes_no_memory() {
    let mut body = u32::MAX.to_le_bytes().to_vec();
    body.extend_from_slice(&[0; 100]);
    assert!(Call::decode("/kvfs/v1/get", &body).unwrap().is_err());
}

#[test]
fn a_token_is_long_enough_and_of_safe_characters() {
    assert!(is_token("0123456789abcdef") && is_token(&"x".repeat(512)));
    for bad in ["short", "0123456789abcde", "0123456789abcde f", "0123456789abcdef\n", &"x".repeat(513)] {
        assert!(!is_token(bad), "{bad}");
    }
}
